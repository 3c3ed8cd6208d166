"""A sample of the trials of `crash`, and faults that the trials must find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import writer
from ninefold.host.index.bounded import Bounds
from ninefold.host.index.environment import Transaction
from ninefold.host.index.tables import Tables, Written
from ninefold.host.scheduler import Scheduler
from tests.host.index import crash_bounded
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


@pytest.fixture(scope="module")
def bounded_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crash_bounded.base(tmp_path_factory.mktemp("crash") / "bounded")


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    start: Path, bounded_start: Path, tmp_path: Path, scheduler: Scheduler, point: str
) -> None:
    # Seeds that depend on the day, so that the trials differ from run to run; the report of a failure names them.
    random = np.random.default_rng((sample(), list(POINTS).index(point)))
    killed = 0
    for number in range(16):
        bounded = number % 2 == 1
        occurrence, seed = int(random.integers(1, 6)), int(random.integers(1 << 30))
        outcome = trial(
            bounded_start if bounded else start,
            tmp_path / str(number),
            point,
            occurrence,
            seed,
            scheduler,
            bounded=bounded,
        )
        assert outcome.good, (point, occurrence, seed, bounded, outcome)
        killed += outcome.killed
        if killed == 2:
            break
    assert killed


def found(start: Path, tmp_path: Path, scheduler: Scheduler, point: str, *, bounded: bool = False) -> list[Outcome]:
    """Return the bad outcomes of some trials."""
    # A bounded index is full after some changes.
    occurrences = range(3, 13) if bounded else [n % 4 + 1 for n in range(10)]
    outcomes = [
        trial(start, tmp_path / str(n), point, occurrence, n, scheduler, bounded=bounded)
        for n, occurrence in enumerate(occurrences)
    ]
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


# Faults of a bounded index.


@pytest.fixture
def bounded_found(bounded_start: Path, tmp_path: Path, scheduler: Scheduler) -> Callable[[], list[Outcome]]:
    return lambda: found(bounded_start, tmp_path, scheduler, "after a commit", bounded=True)


def test_redirects_that_are_not_written_are_found_out(
    bounded_found: Callable[[], list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Transaction.put

    def forgetful(self: Transaction, table: str, key: bytes, value: bytes) -> None:
        if table != "redirects":
            put(self, table, key, value)

    monkeypatch.setattr(Transaction, "put", forgetful)
    assert any(outcome.lost for outcome in bounded_found())


def test_entries_without_a_row_of_uses_are_found_out(
    bounded_found: Callable[[], list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounds, "put", lambda *_: None)
    assert any("uses are not of the entries" in outcome.unsearchable for outcome in bounded_found())


def test_an_anchored_entry_that_is_evicted_is_found_out(
    bounded_found: Callable[[], list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounds, "evicted", lambda self, entries: self.rows()[0][: max(0, entries - self.most)].tolist())
    assert any(outcome.lost for outcome in bounded_found())


def test_evictions_in_a_commit_of_their_own_are_found_out(
    bounded_found: Callable[[], list[Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    evict, changed = Tables.evict, writer.Writer._change

    def change(self: writer.Writer, operation: Callable[[Tables], object]) -> object:
        result = changed(self, operation)
        changed(self, lambda tables: evict(tables, Written()))
        return result

    monkeypatch.setattr(Tables, "evict", lambda *_: None)
    monkeypatch.setattr(writer.Writer, "_change", change)
    assert any(outcome.invented for outcome in bounded_found())
