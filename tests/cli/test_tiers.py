"""``ninefold tiers`` sets tiers up, shows them, and follows the process that searches."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import Index
from ninefold.host.index.tier_record import TierRecord

from ..host.index.made import clustered
from .conftest import Run, stopped

ROWS, DIMENSIONS = 1500, 16


@pytest.fixture
def folder(folders: Path) -> Path:
    clustered(folders / "c", np.random.default_rng(0).normal(0, 1, (ROWS, DIMENSIONS)))
    return folders / "c"


def test_set_up_and_shown(ninefold: Run, folder: Path) -> None:
    shown = ninefold("tiers", f"{folder}/", "--hot", "2", "--warm", "6", "--lists", "3")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^cold +[\d,]+ ", shown.stdout, re.MULTILINE)
    assert "sizes: 2 hot and 6 warm lists; a question uses 3" in shown.stdout.replace("\n", " ")
    routed = ninefold("search", f"{folder}/", "17", "--route", "-k", "2", "--json")
    assert routed.exit_code == 0, routed.output
    report = json.loads(ninefold("tiers", f"{folder}/", "--json").stdout)
    assert sum(report["counts"]["lookups"].values()) == 3
    assert sum(report["counts"]["answers"].values()) == 1
    assert report["compression"] > 0
    assert len(report["rows"]) == 1024


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--warm", "1023"), "the tiers must have at most all 1024 lists, not 32 hot and 1023 warm"),
        (("--watch", "--json"), "--watch shows a table, and --json prints one report"),
    ],
)
def test_refused(
    process: Callable[..., subprocess.Popen[str]], folder: Path, words: tuple[str, ...], message: str
) -> None:
    _, error = (started := process("tiers", f"{folder}/", *words)).communicate(timeout=120)
    assert started.returncode == 2
    assert message in error.replace("\n", " ")


def test_watch_follows_another_process_until_ctrl_c(
    process: Callable[..., subprocess.Popen[str]], ninefold: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ninefold("tiers", f"{folder}/", "--hot", "2", "--warm", "6").exit_code == 0
    ours, theirs = pty.openpty()
    prelude = f"import os; os.dup2({theirs}, 1)"
    monkeypatch.setenv("TERM", "xterm")
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: real(*a, **k, pass_fds=(theirs,)))
    watching = process("tiers", f"{folder}/", "--watch", "--interval", "0.1", prelude=prelude)
    os.close(theirs)

    def until(pattern: str) -> str:
        text, end = "", time.monotonic() + 60
        while not re.search(pattern, text):
            assert time.monotonic() < end, text
            if select.select([ours], [], [], 1)[0]:
                text += os.read(ours, 65536).decode()
        return text

    try:
        until(r"exact +0 ")
        with Index.open(str(folder)) as index:
            index.search(np.asarray(index.vectors[:3], np.float32)[0], 2, route=True)
        record = TierRecord.read(folder / "tiers")
        assert record is not None
        (stage,) = (name for name, answers in record.counts.answers.items() if answers)
        until(rf"{stage}[^\n]* 1 ")
    finally:
        code, error = stopped(watching)
        os.close(ours)
    assert code == 130, error
    assert "Traceback" not in error


def test_a_search_of_some_lists_is_the_search_of_python(ninefold: Run, folder: Path) -> None:
    words = ("search", f"{folder}/", "17", "-k", "50")
    found = ninefold(*words, "--macro", "2", "--micro", "3", "--json")
    assert found.exit_code == 0, found.output
    with Index.open(str(folder)) as index:
        some, all_rows = index.search(17, 50, macro=2, micro=3), index.search(17, 50)
    rows = [hit["row"] for hit in json.loads(found.stdout)["hits"]]
    assert rows == [hit.row for hit in some.hits]
    assert rows != [hit.row for hit in all_rows.hits]
    refused = ninefold(*words, "--macro", "2")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: ")
    assert "micro" in refused.stderr
