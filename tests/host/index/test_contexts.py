"""Indexes of context vectors: searched as ``search6d`` does, filtered, changed, kept whole, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host.index import Hits, Index, build
from ninefold.host.index.backup import backup, restore
from ninefold.host.index.diagnosis import diagnose
from ninefold.host.index.recalibrate import recalibrate
from ninefold.host.index.update import update
from ninefold.host.sources import Entry, contexts
from ninefold.numerics.rows import join
from ninefold.numerics.vector6d import Vector6DColumns, decode, encode
from ninefold.sim.golden import answer
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.operators import OPERATORS
from tests.conformance.cases.similarity6d import drawn
from tests.host.index.made import made, vectors_of

pytestmark = pytest.mark.usefixtures("own_folders")

RECORDS = Vector6DColumns(drawn(np.random.default_rng(8), 60))
QUERIES = Vector6DColumns(drawn(np.random.default_rng(9), 2))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    encode(RECORDS).tofile(path := tmp_path / "records.bin")
    return path


@pytest.fixture
def index(file: Path, tmp_path: Path) -> Iterator[Index]:
    build(str(file), str(tmp_path / "index"))
    with Index.open(str(tmp_path / "index"), "w") as index:
        yield index


def ranked(records: Vector6DColumns, rows: np.ndarray | None = None) -> list[list[tuple[int, float]]]:
    """Return all rows with their similarity to each query, the best first, of equal ones the first."""
    call = OPERATORS["similarity6d"].bind({"a": QUERIES.arrays, "b": records.arrays})
    kept = np.arange(len(records)) if rows is None else rows
    return [
        sorted(((int(row), float(scores[row])) for row in kept), key=lambda hit: (-hit[1], hit[0]))
        for scores in answer(call)["similarity"]
    ]


def agrees(found: list[Hits], wanted: list[list[tuple[int, float]]], k: int) -> bool:
    """Return whether hits are the best records, by ids that are their numbers."""
    for hits, best in zip(found, wanted, strict=True):
        assert [hit.id for hit in hits] == [str(row) for row, _ in best[:k]]
        # The bound of similarity6d.
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in best[:k]], abs=1e-5)
    return True


def test_a_search_scores_whole_records(index: Index) -> None:
    # 4 x 15 candidates are all records.
    assert agrees(index.search_contexts(QUERIES, 15), ranked(RECORDS), 15)
    (hits,) = index.search_contexts(QUERIES[:1], 1)
    assert len(hits) == 1
    assert hits.contexts
    near = {hit.id for hit in index.search(contexts.vectors_of(QUERIES[:1]), 4)}
    assert hits.hits[0].id in near
    assert index.search_contexts(QUERIES[:0]) == []


def test_equal_records_are_ranked_by_their_order(tmp_path: Path) -> None:
    encode(Vector6DColumns(join([RECORDS[:9].arrays] * 3))).tofile(tmp_path / "same.bin")
    build(str(tmp_path / "same.bin"), str(tmp_path / "same"))
    with Index.open(str(tmp_path / "same")) as index:
        ids = [int(hit.id) for hit in index.search_contexts(QUERIES[:1], 9)[0]]
    assert [row % 9 for row in ids] == sorted([row % 9 for row in ids], key=[row % 9 for row in ids].index)
    assert all(ids[at : at + 3] == [ids[at], ids[at] + 9, ids[at] + 18] for at in (0, 3, 6))


@pytest.mark.parametrize(
    ("where", "scanned"),
    [
        ('modality in ["audio", "real time"]', 60),
        ("time >= 1700001800", 0),
        ("intent in [0, 2] and time < 1700003000", 0),
    ],
)
def test_filters(index: Index, where: str, scanned: int) -> None:
    arrays = RECORDS.arrays
    intent, time = arrays["intent"].argmax(axis=1), arrays["timestamp"] / 1e6
    meet = [arrays["modality"] & (2 | 64) != 0, time >= 1700001800, np.isin(intent, [0, 2]) & (time < 1700003000)]
    mask = meet[["modality", "time", "intent"].index(where.split(maxsplit=1)[0])]
    assert 3 < mask.sum() < 57
    found = index.search_contexts(QUERIES, 15, where=where)
    assert agrees(found, ranked(RECORDS, np.flatnonzero(mask)), 15)
    assert {hits.scanned for hits in found} == {scanned}


def test_an_index_changes_and_stays_whole(index: Index, tmp_path: Path) -> None:
    def checked() -> None:
        with Index.open(str(tmp_path / "index")) as again:
            again.verify()
            assert agrees(again.search_contexts(QUERIES, 15), wanted, 15)

    changed = Vector6DColumns(drawn(np.random.default_rng(10), 70))
    encode(changed).tofile(tmp_path / "more.bin")
    index.close()
    written = update(str(tmp_path / "more.bin"), str(tmp_path / "index")).written
    assert (written.added, written.replaced) == (10, 60)
    again = update(str(tmp_path / "more.bin"), str(tmp_path / "index"))
    assert (again.written.added, again.written.replaced, again.unchanged) == (0, 0, 70)
    with Index.open(str(tmp_path / "index"), "w") as opened:
        opened.delete([str(row) for row in range(10, 20)])
    rows = np.r_[0:10, 20:70]
    wanted = ranked(changed, rows)
    checked()
    backup(str(tmp_path / "index"), tmp_path / "backups")
    recalibrate(str(tmp_path / "index"))
    checked()
    with Index.open(str(tmp_path / "index"), "w") as opened:
        opened.compact()
    checked()
    (tmp_path / "index" / "manifest.json").unlink()
    restore(str(tmp_path / "index"), tmp_path / "backups", force=True)
    checked()
    assert diagnose(str(tmp_path / "index"), tmp_path / "saved.bin").saved == 60
    saved = decode((tmp_path / "saved.bin").read_bytes())
    assert encode(saved).tobytes() == encode(changed[rows]).tobytes()


def test_only_the_manifest_of_such_an_index_says_so(index: Index, tmp_path: Path) -> None:
    made(tmp_path / "plain", vectors_of(4)).close()
    assert "contexts" not in json.loads((tmp_path / "plain" / "manifest.json").read_text())
    assert index.manifest.contexts
    with Index.open(str(tmp_path / "plain"), "w") as plain:
        with pytest.raises(InputError, match=r"plain holds no context vectors; `ninefold index FILE\.bin` builds an"):
            plain.search_contexts(QUERIES)
        with pytest.raises(InputError, match="it has a context, and the index holds no context vectors"):
            plain.upsert([Entry("a", "", "", {}, encode(RECORDS[:1]).tobytes())], vectors_of(1))
        with pytest.raises(InputError, match=r"the records of .* cannot be saved: it holds no context vectors"):
            diagnose(str(tmp_path / "plain"), tmp_path / "saved.bin")
    encode(RECORDS).tofile(tmp_path / "records.bin")
    with pytest.raises(InputError, match="holds no context vectors: it is not updated from records in"):
        update(str(tmp_path / "records.bin"), str(tmp_path / "plain"))
    index.close()
    np.save(tmp_path / "a.npy", np.ones((2, 512)))
    for source in ("a.npy", "notes.txt"):
        with pytest.raises(InputError, match=r"holds context vectors: it is updated from a \.bin file, not from"):
            update(str(tmp_path / source), str(tmp_path / "index"))


def test_bad_searches(index: Index) -> None:
    for k in (0, 65, True, 1.5):
        with pytest.raises(InputError, match=f"k must be an integer from 1 to 64 for context vectors, not {k!r}"):
            index.search_contexts(QUERIES, k)  # type: ignore[arg-type]
    arrays = {name: array.copy() for name, array in QUERIES.arrays.items()}
    arrays["embedding"][1] = 0
    with pytest.raises(InputError, match="the embedding of record 1 is all zeros, which have no nearest entries"):
        index.search_contexts(Vector6DColumns(arrays))
    arrays["horizon"][0] = np.inf
    with pytest.raises(InputError, match=r"^the query: horizon of record 0 must be finite, not inf$"):
        index.search_contexts(Vector6DColumns(arrays))


def test_bad_entries(index: Index) -> None:
    good = Entry("a", "", "", {}, encode(RECORDS[:1]).tobytes())
    wrong = {
        "its context must be one record, not 0": b"",
        "its context must be one record, not 2": 2 * good.context,
        "its context is wrong: record 0 at byte 0 is cut off": good.context[:-1],
    }
    for said, context in wrong.items():
        with pytest.raises(InputError, match=f"entry a cannot be indexed: {said}"):
            index.upsert([replace(good, context=context)])
    with pytest.raises(InputError, match="holds context vectors, whose embeddings are used: leave out the vectors"):
        index.upsert([good], contexts.vectors_of(RECORDS[:1]))
    assert index.upsert([good], key="one").added == 1
    assert index.upsert([good], key="one").added == 1
    assert index.get("a") == good
    assert index.upsert([]).added == 0


def test_bad_files(tmp_path: Path, file: Path) -> None:
    def refused(error: type[Exception], said: str, **options: Any) -> None:
        with pytest.raises(error, match=said):
            build(str(file), str(tmp_path / "new"), **options)
        assert not (tmp_path / "new").exists()

    refused(InputError, "records.bin holds vectors and has no columns; leave out --column 'text'", column="text")
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    refused(DamagedDataError, r"records\.bin: record 59 at byte [\d,]+ is cut off: [\d,]+ of the [\d,]+ bytes of its")
    file.write_bytes(b"")
    refused(InputError, "holds no records: it is empty")
    arrays = {name: array.copy() for name, array in RECORDS.arrays.items()}
    arrays["intent"][17, 200] = np.nan
    encode(Vector6DColumns(arrays)).tofile(file)
    refused(InputError, r"records\.bin: intent of record 17 must be finite, not nan")
    file.unlink()
    refused(InputError, "does not exist")
