"""Threshold and reranking against values worked by hand and against the golden model."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ninefold.host import refine as module
from ninefold.host.refine import adaptive, float_scores, refine, rerank
from ninefold.host.scheduler import run
from ninefold.numerics.nits import pack
from ninefold.sim import golden
from ninefold.sim.golden.mine import float_score, passes_threshold
from ninefold.spec.data import Database, Task
from ninefold.spec.formats import INT32_MIN
from ninefold.spec.operators import OPERATORS


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        # Mean 5, standard deviation 2: 6 is mean + half of it, exactly.
        ([3, 7, 6, 4], [False, True, True, False]),
        ([9, 9, 9], [True, True, True]),
        ([-5], [True]),
        ([], []),
        ([10, 0, 0, 0], [True, False, False, False]),
        ([-1, -1, -8], [True, True, False]),
    ],
)
def test_adaptive_by_hand(scores: list[int], kept: list[bool]) -> None:
    assert adaptive(np.array(scores, np.int32)).tolist() == kept


def test_adaptive_on_its_border() -> None:
    # n = 2, scores a > b: n s - S = a - b = sqrt(n SS - S^2), so a always stays and b only where they are equal.
    assert adaptive(np.array([65536, 65535], np.int32)).tolist() == [True, False]
    # n = 5, [2, 1, 1, 1, 0]: S = 5, SS = 7, n SS - S^2 = 10; for s = 1 the difference is 0 and 0 < 10.
    assert adaptive(np.array([2, 1, 1, 1, 0], np.int32)).tolist() == [True, False, False, False, False]


@given(st.lists(st.integers(-65536, 65536), max_size=40) | st.lists(st.integers(-2, 2), max_size=40))
def test_adaptive_is_the_golden_model(scores: list[int]) -> None:
    assert adaptive(np.array(scores, np.int32)).tolist() == [passes_threshold(s, scores) for s in scores]


@given(
    st.integers(1, 2),
    st.sampled_from([5, 130, 256]),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-3, 1.0, 1e4]),
)
def test_float_scores_are_the_golden_models_bits(
    queries: int, rows: int, dimensions: int, seed: int, size: float
) -> None:
    rng = np.random.default_rng(seed)
    q = rng.normal(0, size, (queries, dimensions)).astype(np.float32)
    vectors = rng.normal(0, size, (rows, dimensions)).astype(np.float16)
    wanted = [[float_score(query, vector) for vector in vectors] for query in q]
    assert float_scores(q, vectors).tolist() == wanted


@pytest.mark.parametrize(("queries", "rows"), [(1, 1), (3, 2), (1, 300), (300, 1)])
def test_the_order_of_summation_is_that_of_the_index(queries: int, rows: int) -> None:
    q = np.ones((queries, 3), np.float32)
    # In this order 2**-54 is lost in the 1 that follows it; from the other end it is what is left.
    vectors = np.tile(np.array([2.0**-54, 1, -1], np.float32), (rows, 1))
    assert (float_scores(q, vectors) == 0.0).all()
    assert (float_scores(q, vectors[:, ::-1]) == 2.0**-54).all()


@pytest.mark.parametrize("queries", [1, 2, 200])
def test_a_sum_of_nothing_but_minus_zeros_is_zero(queries: int) -> None:
    scores = float_scores(np.zeros((queries, 3), np.float32), np.full((2, 3), -1, np.float16))
    assert not np.signbit(scores).any()


def test_rerank_breaks_ties_by_id() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0], [2, 0]], np.float16)
    ids, scores = rerank(np.array([[1, 0], [0, 1]], np.float32), np.array([[2, 1, 3, 0], [-1, 3, 1, -1]]), vectors)
    assert ids.tolist() == [[3, 0, 2, 1], [1, 3, -1, -1]]
    assert scores.tolist() == [[2, 1, 1, 0], [1, 0, -np.inf, -np.inf]]


def test_rerank_is_the_same_of_one_query_and_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    q = rng.normal(0, 1, (40, 6)).astype(np.float32)
    vectors = rng.normal(0, 1, (50, 6)).astype(np.float16)
    ids = np.array([rng.permutation(50)[:30] for _ in q])
    ids[:, 20:] = np.where(rng.random((40, 10)) < 0.5, -1, ids[:, 20:])
    alone = [rerank(q[i : i + 1], ids[i : i + 1], vectors) for i in range(40)]
    monkeypatch.setattr(module, "_TOGETHER", 11 * 30 * 6)  # the last part is a smaller one
    together = rerank(q, ids, vectors)
    for got, wanted in zip(together, zip(*alone, strict=True), strict=True):
        assert np.array_equal(got, np.concatenate(wanted))


def test_refine_cuts_and_fills() -> None:
    values: dict[str, npt.NDArray[np.integer]] = {
        "ids": np.array([[4, 2, 9, -1]]),
        "scores": np.array([[7, 6, 1, INT32_MIN]], np.int32),
        "count": np.array([3]),
    }
    out = refine(values, np.zeros((1, 2), np.float32), 3, threshold="adaptive")
    assert out["ids"].tolist() == [[4, 2, -1]]
    assert out["scores"].tolist() == [[7, 6, INT32_MIN]]
    assert out["scores"].dtype == np.int32
    assert out["count"].tolist() == [2]


@pytest.mark.parametrize("threshold", [None, "adaptive"])
@pytest.mark.parametrize("rerank_by", [None, 1, 4])
@pytest.mark.parametrize("rows", [3, 150])
def test_mine_with_its_options_is_the_golden_model(threshold: str | None, rerank_by: int | None, rows: int) -> None:
    rng = np.random.default_rng(11)
    vectors = rng.normal(0, 1, (rows, 12)).astype(np.float16)
    vectors[1] = vectors[0]
    nits = np.clip(np.rint(vectors.astype(np.float32)), -4, 4).astype(np.int8)
    attributes = {"rows": rows, "dimensions": 12, "scale": 1.0, "mode": "linear"}
    database = Database({"nits": pack(nits), "vectors": vectors}, attributes)
    arguments = {"q": rng.normal(0, 1, (5, 12)).astype(np.float32), "database": database}
    options = {"k": 6, "threshold": threshold, "rerank": rerank_by}
    wanted = golden.answer(OPERATORS["mine"].bind(arguments, options))
    got = run(Task("mine", arguments, options)).values
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype
        assert got[name].tolist() == array.tolist(), name
