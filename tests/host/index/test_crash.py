"""A sample of the trials of `crash`, and faults that the trials must find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import writer
from ninefold.host.index.tables import Tables
from ninefold.host.scheduler import Scheduler
from tests.host.index.crash import POINTS, Outcome, base, trial
from tests.sampling import sample


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CPU_PATH", "numpy")
        with Scheduler(costs=None) as scheduler:
            yield scheduler


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base(tmp_path_factory.mktemp("crash") / "base")


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    start: Path, tmp_path: Path, scheduler: Scheduler, point: str
) -> None:
    # Seeds that depend on the day, so that the trials differ from run to run; the report of a failure names them.
    random = np.random.default_rng((sample(), list(POINTS).index(point)))
    killed = 0
    for number in range(8):
        occurrence, seed = int(random.integers(1, 6)), int(random.integers(1 << 30))
        outcome = trial(start, tmp_path / str(number), point, occurrence, seed, scheduler)
        assert outcome.good, (point, occurrence, seed, outcome)
        killed += outcome.killed
        if killed == 2:
            break
    assert killed


def found(start: Path, tmp_path: Path, scheduler: Scheduler, point: str) -> list[Outcome]:
    """Return the bad outcomes of some trials."""
    outcomes = [trial(start, tmp_path / str(n), point, n % 4 + 1, n, scheduler) for n in range(10)]
    return [outcome for outcome in outcomes if not outcome.good]


def test_an_index_that_commits_before_it_writes_is_found_out(
    start: Path, tmp_path: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = writer.Writer._written

    def too_late(self: writer.Writer, *arguments: object) -> object:
        listed = written(self, *arguments)  # type: ignore[arg-type]
        path = self.store.segment_folder / f"{listed.digest}.segment"
        path.rename(path.with_suffix(".later"))
        change = self._change

        def commit(*given: object) -> object:
            result = change(*given)  # type: ignore[arg-type]
            path.with_suffix(".later").rename(path)
            del self._change
            return result

        self._change = commit  # type: ignore[method-assign, assignment]
        return listed

    monkeypatch.setattr(writer.Writer, "_written", too_late)
    assert any("is missing" in outcome.unsearchable for outcome in found(start, tmp_path, scheduler, "after a commit"))


def test_deletions_that_are_forgotten_are_found_out(
    start: Path, tmp_path: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tables, "finish", lambda _: None)
    assert found(start, tmp_path, scheduler, "after a commit")
