"""Tail in memory: what a reader takes over from the version before is what it would read itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import Index, tables, tail
from ninefold.host.index.filters import parse
from ninefold.host.index.tables import Tables
from ninefold.host.index.tail import Tail
from ninefold.host.sources import Entry
from tests.host.index.made import DIMENSIONS, made, vectors_of

pytestmark = pytest.mark.usefixtures("own_folders")


def entry(n: int) -> Entry:
    return Entry(f"id {n}", "", f"text {n}", {"year": n} if n % 3 else {})


def equal(index: Index, found: Tail) -> None:
    """Compare a tail with the one that is read without an earlier one."""
    with index.writer.store.reading() as (read, _):
        wanted = Tail.read(read, index.manifest, "again", None)
        assert np.array_equal(found.sequence, read.tail())
    assert len(found) == len(wanted) == len(wanted.sequence)
    for name in ("sequence", "vectors", "nits"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    condition = parse("year > 8")
    masks = [condition.mask(one.columns()) for one in (found, wanted)]
    assert np.array_equal(*masks)
    sequence = np.concatenate([[0], *(part.sequence for part in found.parts)])
    assert (np.diff(sequence) > 0).all()
    assert all(len(part.sequence) <= tail.CHUNK_ROWS and len(part) for part in found.parts)


@pytest.mark.parametrize("seed", range(4))
def test_a_tail_that_is_taken_over_is_the_tail_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(tail, "CHUNK_ROWS", 5)
    monkeypatch.setattr(tables, "KNOWN_CUTS", 4)
    random = np.random.default_rng(seed)
    made(tmp_path / "index", vectors_of(4), entries=[entry(n) for n in range(4)], fields={"year": "int"}).close()
    most = 0
    with Index.open(str(tmp_path / "index"), "w") as index:
        for step in range(60):
            for _ in range(int(random.integers(1, 4))):
                names = random.choice(24, int(random.integers(1, 7)), replace=False).tolist()
                if random.random() < 0.3:
                    index.delete([f"id {n}" for n in names])
                else:
                    index.upsert([entry(n) for n in names], vectors_of(len(names), step))
            if random.random() < 0.05:
                index.writer.seal()
            with index.writer.store.reading() as (_, version):
                equal(index, version.tail)
                most = max(most, len(version.tail.parts))
    assert most > 2


def test_a_commit_changes_the_last_chunk_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "CHUNK_ROWS", 4)
    made(tmp_path / "index", vectors_of(2)).close()
    with Index.open(str(tmp_path / "index"), "w") as index:
        index.upsert([entry(n) for n in range(10)], vectors_of(10, 1))
        with index.writer.store.reading() as (_, version):
            before = version.tail

        def listed(_: Tables) -> None:
            raise AssertionError("the tail was listed")

        monkeypatch.setattr(Tables, "tail", listed)
        index.upsert([entry(3), entry(11)], vectors_of(2, 2))
        with index.writer.store.reading() as (_, version):
            after = version.tail
        digests = [[part.database.digest for part in one.parts] for one in (before, after)]
        assert digests[0][:2] == digests[1][:2]
        assert digests[0][2] != digests[1][2]
        assert [None if part.alive is None else part.alive.tolist() for part in after.parts] == [
            [True, True, True, False],
            None,
            None,
        ]
        index.delete(["id 0", "id 1", "id 2"])
        with index.writer.store.reading() as (_, version):
            assert [part.database.digest for part in version.tail.parts] == digests[1][1:]
            assert version.tail.vectors.shape == (8, DIMENSIONS)
        with index.snapshot() as snapshot:
            assert len(snapshot) == 8


def test_a_writer_pauses_for_other_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(tables.time, "sleep", pauses.append)
    monkeypatch.setattr(tables, "_RUN", 4)
    assert list(tables.pausing(range(9))) == list(range(9))
    assert pauses == [tables._PAUSE_S] * 2
    made(tmp_path / "index", vectors_of(2)).close()
    pauses.clear()
    with Index.open(str(tmp_path / "index"), "w") as index:
        index.upsert([entry(n) for n in range(10)], vectors_of(10, 1))
        # While they are checked, while earlier ones are removed, and while they are written.
        assert len([one for one in pauses if one == tables._PAUSE_S]) == 6
