"""Ctrl-C and kill on the command line: embeddings are kept, and the index is complete or absent."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ninefold.host import Index
from ninefold.host.embedding import EmbeddingCache
from tests.cli.conftest import Run, stopped

#: Stops the process after its third batch of embeddings, so that the interrupt always comes in the middle.
HOLD = """
import pathlib, time
from ninefold.host.embedding import EmbeddingCache
put, done = EmbeddingCache.put, []
def held(*arguments):
    put(*arguments)
    done.append(1)
    if len(done) == 3:
        pathlib.Path("third").touch()
        time.sleep(600)
EmbeddingCache.put = held
"""


@pytest.fixture
def many(folders: Path) -> Path:
    """Write texts for more than three batches."""
    path = folders / "many.txt"
    lines = (f"{n} green bottles are hanging on wall {n % 7}, and a bird sits on each. " for n in range(80))
    path.write_text("\n\n".join(line * 8 + line.upper() * 4 for line in lines))
    return path


def cached() -> set[bytes]:
    """Return the keys in the cache of embeddings."""
    with EmbeddingCache() as cache, closing(sqlite3.connect(cache.path)) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM vectors")}


def wait_for(path: Path, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("kill", [False, True])
def test_an_interrupted_index_goes_on_where_it_stopped(
    ninefold: Run, process: Callable[..., subprocess.Popen[str]], folders: Path, many: Path, kill: bool
) -> None:
    running = process("index", many, "-o", "m", prelude=HOLD)
    wait_for(folders / "third", running)
    if kill:
        running.kill()
        running.communicate(timeout=60)
    else:
        code, error = stopped(running)
        assert code == 130
        assert error.endswith("finished embeddings and builds are kept for the next run\n")
    assert not (folders / "data").exists()
    kept = cached()
    assert len(kept) >= 3
    assert ninefold("index", many, "-o", "m").exit_code == 0
    assert kept < cached()
    assert len(cached()) == len(Index.open("m"))


def test_a_second_index_of_the_same_texts_embeds_nothing(ninefold: Run, folders: Path, notes: Path) -> None:
    ninefold("index", notes, "-o", "a")
    before = cached()
    notes.rename(folders / "elsewhere")
    assert ninefold("index", folders / "elsewhere", "-o", "b", "--mode", "tanh").exit_code == 0
    assert cached() == before
    (folders / "elsewhere" / "bees.txt").write_text("Something else entirely.")
    assert ninefold("index", folders / "elsewhere", "-o", "a", "--force").exit_code == 0
    assert len(cached()) == len(before) + 1


def test_an_interrupt_of_the_compiler_ends_the_command(
    ninefold: Run, folders: Path, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = folders / "compiler"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\nkill -INT $$\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.delenv("NINEFOLD_CPU_PATH")
    found = ninefold("search", "v", "3", "--device", "cpu")
    assert found.exit_code == 130, found.output
    assert found.stderr.splitlines()[-1].startswith("interrupted: ")
    assert not [path for path in (folders / "cache" / "cpu-kernel").iterdir() if path.suffix != ".lock"]
