"""The golden models against values worked out by hand."""

from math import atanh, isqrt, tanh
from typing import Any

import numpy as np
import pytest

from ninefold.sim.golden import answer
from ninefold.sim.golden.calibrate import best, calibrate, exact_scores
from ninefold.sim.golden.mine import float_score, mine, passes_threshold
from ninefold.sim.golden.packed import pack, unpack
from ninefold.sim.golden.phase_hash import quadrant
from ninefold.sim.golden.quantise import grid, nits_of_grid, quantise
from ninefold.sim.golden.similarity import reciprocal, similarity
from ninefold.sim.golden.superpose import Format, nit_of, sum_of
from ninefold.sim.golden.topk import topk
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.formats import Mode
from ninefold.spec.operators import OPERATORS


def i8(*values: Any) -> np.ndarray:
    return np.array(values, np.int8)


def test_packing_by_hand() -> None:
    # 1 -> 0x1, -1 -> 0xF, 4 -> 0x4, -4 -> 0xC, 3 -> 0x3 and the padding nibble 0.
    assert pack(i8([1, -1, 4, -4, 3])).tolist() == [[0xF1, 0xC4, 0x03]]
    assert unpack(np.array([[0xF1, 0xC4, 0x03]], np.uint8), 5).tolist() == [[1, -1, 4, -4, 3]]


def test_grid_rounds_half_to_even_and_saturates() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5]) / 4096
    assert grid(x, 1.0).tolist() == [0, 2, 2, 0, -2]
    assert grid(np.array([7.9999, 8.0, -8.0, -8.1, np.inf, -np.inf]), 1.0).tolist() == [
        32767,
        32767,
        -32768,
        -32768,
        32767,
        -32768,
    ]


def test_grid_takes_one_float32_product() -> None:
    # float32(0.1) * float32(5.0) rounds to exactly 0.5 = 2048/4096; in float64 it would lie above and cross `linear`.
    assert float(np.float32(0.1)) * 5.0 > 0.5
    assert grid(np.array([0.1]), 5.0).tolist() == [2048]
    assert quantise(np.array([0.1]), 5.0, "linear").tolist() == [0]


@pytest.mark.parametrize(
    ("mode", "g", "nit"),
    [
        ("tanh", 514, 0), ("tanh", 515, 1), ("tanh", 1614, 1), ("tanh", 1615, 2), ("tanh", 3003, 2),
        ("tanh", 3004, 3), ("tanh", 5546, 3), ("tanh", 5547, 4), ("tanh", 32767, 4), ("tanh", -514, 0),
        ("tanh", -515, -1), ("tanh", -5547, -4), ("tanh", -32768, -4), ("tanh", 0, 0),
        ("linear", 2048, 0), ("linear", 2049, 1), ("linear", 6144, 1), ("linear", 6145, 2), ("linear", 10240, 2),
        ("linear", 10241, 3), ("linear", 14336, 3), ("linear", 14337, 4), ("linear", -2048, 0), ("linear", -2049, -1),
        ("linear", -14336, -3), ("linear", -32768, -4),
    ],
)  # fmt: skip
def test_nits_at_each_threshold(mode: Mode, g: int, nit: int) -> None:
    assert nits_of_grid(np.array([g]), mode).tolist() == [nit]


def test_nits_are_the_nearest_level() -> None:
    # The thresholds restate "nearest to 4 tanh(y)" and "nearest of -4..4"; compare with that, away from the ties.
    g = np.arange(-32768, 32768)
    expected_tanh = [round(4 * tanh(v / 4096)) for v in g.tolist()]
    assert nits_of_grid(g, "tanh").tolist() == expected_tanh
    off_tie = (g % 4096) != 2048
    expected_linear = np.clip(np.rint(g / 4096), -4, 4)
    assert (nits_of_grid(g, "linear") == expected_linear)[off_tie].all()


def test_complex_counts_by_its_real_part() -> None:
    assert quantise(np.array([2 + 9j, -1 - 9j]), 1.0, "linear").tolist() == [2, -1]


def test_similarity_by_hand() -> None:
    q, c = i8([1, 2, -3], [4, 4, 4]), i8([4, -4, 1], [0, 0, 0], [-4, -4, -4])
    assert similarity(q, c).tolist() == [[-7, 0, 0], [4, 0, -48]]


def test_normalised_by_hand() -> None:
    # n = 33: isqrt(2**34 // 33) = 22816, (22816 + 1) >> 1 = 11408; -7 * 11408 = -79856, >> 8 = -312 (floor).
    assert isqrt(2**34 // 33) == 22816
    assert reciprocal(33) == 11408
    assert reciprocal(0) == 0
    q, c = i8([1, 2, -3]), i8([4, -4, 1], [0, 0, 0])
    assert similarity(q[None, :] if q.ndim == 1 else q, c, normalised=True).tolist() == [[-312, 0]]
    # A single nit 1: n = 1, isqrt(2**34) = 131072, recip 65536; 4 * 65536 >> 8 = 1024.
    assert similarity(i8([4]), i8([1]), normalised=True).tolist() == [[1024]]


def test_topk_by_hand() -> None:
    scores = np.array([[3, 7, 7, -2, 0, 7]], np.int32)
    ids, best_scores, count = topk(scores, 4)
    assert ids.tolist() == [[1, 2, 5, 0]]
    assert best_scores.tolist() == [[7, 7, 7, 3]]
    assert count.tolist() == [4]
    ids, best_scores, count = topk(np.array([[-5, 0]], np.int32), 3, np.array([40, 30]))
    assert ids.tolist() == [[30, 40, -1]]
    assert best_scores.tolist() == [[0, -5, -(2**31)]]
    assert count.tolist() == [2]
    ids, floats, count = topk(np.array([[-0.0, 0.0, 0.5]], np.float32), 4)
    assert ids.tolist() == [[2, 0, 1, -1]]
    assert floats.tolist() == [[0.5, 0.0, 0.0, -np.inf]]
    assert topk(np.zeros((1, 0), np.int32), 2)[2].tolist() == [0]


def test_adaptive_threshold_by_hand() -> None:
    # Scores 10, 6, 2: mean 6, population deviation sqrt(32/3) = 3.27, so the bar is at 7.63: only 10 passes.
    assert [s for s in (10, 6, 2) if passes_threshold(s, [10, 6, 2])] == [10]
    # 4, 2, 0, ...: n = 2, scores 4 and 0: mean 2, deviation 2, bar exactly at 3.
    assert passes_threshold(3, [4, 0])
    assert not passes_threshold(2, [4, 0])
    # All equal: the deviation is 0 and the mean itself passes. A single score passes too.
    assert passes_threshold(5, [5, 5])
    assert passes_threshold(-3, [-3])


def test_mine_by_hand() -> None:
    q = np.array([[1.0, -0.5]], np.float32)
    # tanh: 4096 -> 3, -2048 -> -2, so the scores are 3a - 2b.
    assert quantise(q, 1.0, "tanh").tolist() == [[3, -2]]
    nits = i8([1, 0], [4, 4], [0, -2], [-1, 1])
    assert mine(q, nits, 1.0, "tanh", 3) == [[(1, 4), (2, 4), (0, 3)]]
    assert mine(q, nits, 1.0, "tanh", 9) == [[(1, 4), (2, 4), (0, 3), (3, -5)]]
    assert mine(q, nits, 1.0, "tanh", 3, threshold="adaptive") == [[(1, 4), (2, 4)]]
    vectors = np.array([[2, 0], [1, 1], [0, -3], [5, 0]], np.float16)
    # Of the best 2 * 1 (ids 1 and 2), scored again: 0.5 and 1.5; row 3 is out of reach although it would score 5.
    assert mine(q, nits, 1.0, "tanh", 1, rerank=2, vectors=vectors) == [[(2, 1.5)]]


def test_rerank_sums_in_index_order() -> None:
    query = np.array([1.0, 1.0, 1.0], np.float32)
    assert float_score(np.array([2.0**60, 1.0, -(2.0**60)], np.float32), query.astype(np.float16)) == 0.0


def test_calibrate_finds_the_first_of_the_best() -> None:
    sample = np.random.default_rng(3).normal(0, 0.05, (60, 16)).astype(np.float32)
    sigma = float(np.std(sample.astype(np.float64)))
    scale = calibrate(sample, "tanh")
    assert any(scale == c / 10 / sigma for c in range(3, 9))
    # Two rows: each finds the other at any scale, so the first candidate wins.
    assert calibrate(sample[:2], "linear") == 1.2 / float(np.std(sample[:2].astype(np.float64)))
    with pytest.raises(InputError, match="the sample must vary"):
        calibrate(np.ones((3, 2), np.float32), "tanh")


def test_calibrate_parts_by_hand() -> None:
    a = np.array([[1, 2], [3, -1]], np.float32)
    assert exact_scores(a, a).tolist() == [[5, 1], [1, 10]]
    assert best(np.array([5, 9, 9, 1]), itself=1, k=2) == {0, 2}


def test_thresholds_against_their_formula() -> None:
    for n, t in enumerate((515, 1615, 3004, 5547), start=1):
        assert t - 1 < 4096 * atanh((2 * n - 1) / 8) <= t


def test_answer_runs_the_model_of_a_call() -> None:
    x = np.array([[1.0, -0.5]], np.float32)
    assert answer(OPERATORS["quantise"].bind({"x": x}, {"scale": 1.0}))["nits"].tolist() == [[3, -2]]
    nits = pack(i8([1, 0], [4, 4]))
    database = Database({"nits": nits}, {"rows": 2, "dimensions": 2, "scale": 1.0, "mode": "tanh"})
    values = answer(OPERATORS["mine"].bind({"q": x, "database": database}, {"k": 3}))
    assert values["ids"].tolist() == [[1, 0, -1]]
    assert values["scores"].tolist() == [[4, 3, -(2**31)]]
    assert values["count"].tolist() == [2]


@pytest.mark.parametrize(
    ("re", "im", "found"),
    [
        (1, 0, 0), (1, 1, 0), (1, -0.0, 0), (0, 1, 1), (-0.0, 1, 1), (-1, 1, 1), (-1, 0, 2), (-1, -0.0, 2),
        (-1, -1, 2), (0, -1, 3), (-0.0, -1, 3), (1, -1, 3), (0, 0, 0), (-0.0, -0.0, 0), (1e-45, -1e-45, 3),
        (np.inf, -np.inf, 3), (-np.inf, np.inf, 1),
    ],
)  # fmt: skip
def test_quadrants_by_hand(re: float, im: float, found: int) -> None:
    assert quadrant(re, im) == found


def test_phases_by_hand() -> None:
    point = np.zeros((1, 9), np.complex64)
    point[0, [0, 4, 8]] = 1j, -1, -1j
    assert answer(OPERATORS["phase_hash"].bind({"psi": point}))["hash"].tolist() == [1 | 2 << 8 | 3 << 16]


def test_superpose_by_hand() -> None:
    a = np.array([0.5, 0.5, 1 + 9j, 3e38, -np.inf, 2], np.complex64)
    # 0.5 + 2**-13 is halfway between two grid values and stays at 2048; its next float is not.
    b = np.array([2**-13, 2**-13 + 2**-24, -3 - 9j, 3e38, 1, 1.5 - 2**-20], np.complex64)
    assert answer(OPERATORS["superpose"].bind({"a": a, "b": b}))["nits"].tolist() == [0, 1, -2, 4, -4, 3]


FORMATS = [(Format(5, 10), np.float16, np.uint16), (Format(8, 23), np.float32, np.uint32)]


@pytest.mark.parametrize(("form", "floats", "bits"), FORMATS, ids=["float16", "float32"])
def test_sums_of_formats_are_those_of_the_processor(form: Format, floats: Any, bits: Any) -> None:
    rng = np.random.default_rng(5)
    top = 1 << 1 + sum(form)
    a, b = (rng.integers(0, top, 3000).astype(bits) for _ in range(2))
    # A third of near exponents, and one of edges.
    b[:1000] = a[:1000] ^ rng.integers(0, 4 << form.fraction, 1000).astype(bits)
    ends = np.array([0, 1, 2, form.infinity - 1, form.infinity, form.sign, form.sign + form.infinity], bits)
    b[1000:2000], a[1500:2500] = rng.choice(ends, 1000), rng.choice(ends, 1000)
    with np.errstate(all="ignore"):
        total = a.view(floats) + b.view(floats)
        nits = quantise(np.where(np.isnan(total), 0, total), 1.0, "linear")
    for one, other, wanted, nit in zip(a.tolist(), b.tolist(), total, nits.tolist(), strict=True):
        found = sum_of(one, other, form)
        if found is None:
            assert np.isnan(wanted)
        else:
            assert (found, nit_of(found, form)) == (int(wanted.view(bits)), nit), (one, other)
