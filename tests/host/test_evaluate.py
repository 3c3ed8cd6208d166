"""Recall, precision and NDCG against values worked by hand and a plain exact search."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.commands.evaluate import warnings
from ninefold.host.evaluate import count_rows, evaluate, exact, ndcg
from ninefold.host.index import Index, build
from ninefold.sim.golden.calibrate import best
from ninefold.sim.golden.mine import float_score
from ninefold.spec.errors import InputError
from tests.host.index.made import made


@pytest.fixture(autouse=True)
def numpy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")


def index_of(folder: Path, rows: np.ndarray, vectors: bool = True) -> Index:
    np.save(folder / "rows.npy", rows)
    build(str(folder / "rows.npy"), str(folder / "index"), vectors=vectors)
    return Index.open(str(folder / "index"))


def test_ndcg_by_hand() -> None:
    truth = np.array([5, 6, 7])
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert ndcg(truth, truth) == 1
    assert ndcg(np.array([7, 9, 5]), truth) == pytest.approx((1 + 0 + 3 / 2) / ideal, rel=1e-12)
    assert ndcg(np.array([1, 2]), truth) == 0
    assert ndcg(np.array([], np.int64), truth) == 0


def test_exact_search_over_several_blocks() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(0, 1, (1100, 6)).astype(np.float16)
    vectors[700] = vectors[3]  # equal scores in different blocks
    rows = np.array([3, 512, 700, 1099])
    found = exact(vectors[rows].astype(np.float32), vectors, rows, 10)
    for ids, row in zip(found, rows, strict=True):
        scores = np.array([float_score(vectors[row].astype(np.float32), v) for v in vectors])
        order = np.argsort(-scores, kind="stable")
        assert ids.tolist() == [i for i in order if i != row][:10]
        assert set(ids.tolist()) == best(scores, int(row), 10)


def test_fine_vectors_are_found_again(tmp_path: Path) -> None:
    # Rows of nits with few equal scores: quantising loses nothing relevant, so every method finds all neighbours.
    rng = np.random.default_rng(6)
    found = evaluate(index_of(tmp_path, rng.integers(-4, 5, (60, 64)).astype(np.float32)))
    plain, reranked = found.qualities
    assert found.queries == 60
    assert plain.recall == pytest.approx(plain.precision, abs=0.02)  # they differ if entries tie
    assert 0.8 < plain.recall <= reranked.recall
    assert reranked.recall == pytest.approx(1, abs=0.02)
    assert (found.answered_by, found.path) == ("cpu", "numpy")


def test_reranking_recovers_what_coarse_nits_lose(tmp_path: Path) -> None:
    found = evaluate(index_of(tmp_path, np.random.default_rng(7).normal(0, 1, (800, 24)).astype(np.float32)))
    plain, reranked = found.qualities
    assert found.queries == 500
    assert plain.recall < reranked.recall
    assert plain.ndcg < reranked.ndcg
    assert reranked.recall > 0.97


def test_an_index_smaller_than_the_list(tmp_path: Path) -> None:
    found = evaluate(index_of(tmp_path, np.random.default_rng(8).normal(0, 1, (4, 24))))
    assert [(q.recall, q.precision) for q in found.qualities] == [(1, 1), (1, 1)]


def test_what_cannot_be_evaluated(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs at least 2$"):
        evaluate(index_of(tmp_path, np.random.default_rng(9).normal(0, 1, (1, 24))))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(InputError, match=r"has no float vectors"):
        evaluate(index_of(other, np.random.default_rng(9).normal(0, 1, (9, 24)), vectors=False))


def kept_as(folder: Path, vectors: np.ndarray) -> Index:
    """Return an index that stores `vectors`, as written by versions that let values underflow."""
    return made(folder / "index", vectors)


def test_zeros_are_refused(tmp_path: Path) -> None:
    index = kept_as(tmp_path, np.full((50, 16), 1e-9))
    with pytest.raises(InputError, match=r"index cannot be evaluated: all its 50 vectors are zeros$"):
        evaluate(index)
    with pytest.raises(InputError, match=r"^row 3 of .*index is stored as zeros"):
        index.search(3)
    with pytest.raises(InputError, match=r"^the query is all zeros"):
        index.search(np.zeros(16))


@pytest.mark.parametrize("fine", [9, 30])
def test_zeros_change_no_figure(tmp_path: Path, fine: int) -> None:
    # All scores between the other rows are positive. Zeros tie, and exact search and nits both order them by row.
    rows = np.abs(np.random.default_rng(4).normal(1, 1, (fine, 8)))
    without = evaluate(kept_as(tmp_path / "without", rows))
    zeros = evaluate(kept_as(tmp_path / "zeros", np.concatenate([np.zeros((300, 8)), rows])))
    assert (zeros.zero_rows, zeros.equal_rows, zeros.queries) == (300, 0, fine)
    assert zeros.qualities == without.qualities
    assert (without.qualities[0].recall < 1) == (fine == 30)


@pytest.mark.parametrize("copies", [2, 11, 12])
def test_equal_rows(tmp_path: Path, copies: int) -> None:
    rows = np.repeat(np.random.default_rng(5).normal(0, 1, (20, 16)), copies, axis=0)
    rows = np.concatenate([rows, np.random.default_rng(6).normal(0, 1, (30, 16)), -np.zeros((1, 16))])
    index = kept_as(tmp_path, rows)
    found = evaluate(index)
    assert (found.zero_rows, found.equal_rows) == (1, 20 * copies)
    if copies == 12:
        # Eleven others are equally near, so none of them is certain to be among the ten nearest.
        assert 20 * copies <= found.undecided < 20 * copies + 30
    if copies == 11:
        assert found.queries >= 20 * copies


def test_nothing_but_equal_rows(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"10 of its 40 vectors are zeros and 30 equal another, so none has nearest rows"
    ):
        evaluate(kept_as(tmp_path, np.repeat([[1.0, 2, 3], [0, 0, 0]], (30, 10), axis=0)))


def test_rows_are_counted_by_plain_comparison_too() -> None:
    rng = np.random.default_rng(11)
    vectors = rng.integers(-1, 2, (1500, 4)).astype(np.float16) * np.float16(-6e-8)
    nonzero, equal = count_rows(vectors)
    plain = [tuple(row) for row in (vectors + np.float16(0)).tolist()]
    assert nonzero.tolist() == [n for n, row in enumerate(plain) if any(row)]
    assert equal == sum(1 for row in plain if any(row) and plain.count(row) > 1)


def test_ties_for_the_last_place_do_not_count() -> None:
    vectors = np.array([[9.0], [5], [4], [4], [1]], np.float16)
    for k, nearest in ((1, [1]), (2, [1]), (3, [1, 2, 3]), (4, [1, 2, 3, 4]), (9, [1, 2, 3, 4])):
        assert exact(vectors[:1].astype(np.float32), vectors, np.array([0]), k)[0].tolist() == nearest


@pytest.mark.parametrize(("rows", "chance"), [(4, 1), (11, 1), (12, 10 / 11), (101, 0.1)])
def test_few_rows(tmp_path: Path, rows: int, chance: float) -> None:
    found = evaluate(index_of(tmp_path, np.random.default_rng(8).normal(0, 1, (rows, 8))))
    assert found.chance == pytest.approx(chance)
    said = " ".join(warnings(found, rows))
    assert said.startswith(
        {4: "4 entries are too few", 11: "11 entries are too few", 12: "12 entries are few"}.get(rows, "")
    )
    assert bool(said) == (rows < 101)
