"""Recall, precision and NDCG against values worked by hand and a plain exact search."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.evaluate import evaluate, exact, ndcg
from ninefold.host.index import Index, build
from ninefold.sim.golden.calibrate import best
from ninefold.sim.golden.mine import float_score
from ninefold.spec.errors import InputError


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
    # Rows of nits with few equal scores: quantising loses nothing that matters, so every way finds all.
    rng = np.random.default_rng(6)
    found = evaluate(index_of(tmp_path, rng.integers(-4, 5, (60, 64)).astype(np.float32)))
    plain, reranked = found.qualities
    assert found.queries == 60
    assert plain.recall == plain.precision
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
    with pytest.raises(InputError, match=r"keeps no float vectors"):
        evaluate(index_of(other, np.random.default_rng(9).normal(0, 1, (9, 24)), vectors=False))
