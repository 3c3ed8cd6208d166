"""Golden models of the wave family's operators on points and vectors, against values worked out by hand."""

from __future__ import annotations

from math import cos, exp, pi
from typing import Any

import numpy as np
import pytest

from ninefold.sim.golden import answer
from ninefold.sim.golden.eviction_score import score
from ninefold.sim.golden.harmonic_signature import harmonics
from ninefold.sim.golden.heterodyne import mixed
from ninefold.sim.golden.overlap import inner, overlap
from ninefold.sim.golden.resonance import resonance
from ninefold.sim.golden.wave_attention import score as interference
from ninefold.sim.golden.wave_attention import turned
from ninefold.spec.operators import OPERATORS


def bound(operator: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
    return answer(OPERATORS[operator].bind(arguments, options))


def test_inner_products_by_hand() -> None:
    # (1 + 2j) conj(3 - 1j) = (1 + 2j)(3 + 1j) = 1 + 7j; 1j conj(2j) = 2.
    assert inner([1 + 2j, 1j], [3 - 1j, 2j]) == 3 + 7j
    assert inner([1j], [1]) == 1j


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([1, 0], [1, 1], 0.5), ([1, 1j], [1, -1j], 0.0), ([1, 1j], [1j, -1], 1.0), ([3 + 4j], [1e-30], 1.0),
        ([0, 0], [1, 1], 0.0), ([0, 0], [0, 0], 0.0), ([1, 2j], [3, 1j], 25 / 50), ([1, 2], [2, -1], 0.0),
    ],
)  # fmt: skip
def test_overlaps_by_hand(a: list[complex], b: list[complex], wanted: float) -> None:
    assert overlap(a, b) == pytest.approx(wanted, abs=1e-15)
    vectors = (np.array([one], np.complex64) for one in (a, b))
    assert bound("overlap", dict(zip("ab", vectors, strict=True)))["overlap"].tolist() == [[np.float32(wanted)]]


def test_evictions_by_hand() -> None:
    # 32^0.6 = 8, and 1e-6 is below half of the last bit that is compared.
    assert score(16.0, 0.5, 64, 0.25, 0.0) == pytest.approx(16 / 8 * 0.75, rel=2e-7)
    assert score(3.0, 0.7, 0, 0.0, 2.0) == pytest.approx(3e6 * exp(1))
    assert score(3.0, 0.0, 9, 0.5, 0.0) == pytest.approx(1.5e6)
    assert score(0.0, 1.0, 1, 0.0, 1.0) == 0
    entries = {
        "age": np.array([5.0, 5.0]),
        **{name: np.zeros(2, np.float32) for name in ("resonance", "stability", "density")},
        "uses": np.array([1, 1]),
        "anchored": np.array([False, True]),
    }
    assert bound("eviction_score", entries)["score"].tolist() == [5 / 1e-6, -1]


def test_mixed_waves_by_hand() -> None:
    # At t = 0 the phases are pa + pb and pa - pb: 0.1 (2j * 3 + 2j * 3) and 0.1 (1j * 1j + 1j * -1j).
    assert mixed(2j, 3, 5.0, 7.0, 0.0) == pytest.approx(1.2j)
    assert mixed(1j, 1j, 5.0, 7.0, 0.0) == pytest.approx(0)
    # (wa + wb) t is half a turn, and |wa - wb| t a quarter of one, whichever is the larger.
    wa, wb = 3 * pi / 4, pi / 4
    assert mixed(2, 5, wa, wb, 1.0) == pytest.approx(-1 + 1j)
    assert mixed(2, 5, wb, wa, 1.0) == pytest.approx(-1 + 1j)
    assert mixed(0, 5, wa, wb, 1.0) == 0
    waves = {"a": np.full((1, 1), 2, np.complex64), "b": np.full((1, 1), 5, np.complex64), "t": np.ones(1)}
    found = bound("heterodyne", {**waves, "wa": np.array([wa]), "wb": np.array([wb])})["mixed"]
    assert found[0, 0] == pytest.approx(-1 + 1j, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([3, 4j], [1, 0], 0.6), ([1, 1j], [1, -1j], 0.0), ([1, 1j], [1j, -1], 1.0), ([0, 0], [1, 1], 0.0),
        ([1, 2, 2], [1, 0, 0], 1 / 3), ([1, 2, 2], [2j, 1j, 2j], 8 / 9), ([1e-45, 0], [1e38, 0], 1.0),
    ],
)  # fmt: skip
def test_resonances_by_hand(a: list[complex], b: list[complex], wanted: float) -> None:
    assert resonance(a, b) == pytest.approx(wanted, abs=1e-15)
    vectors = (np.array([one], np.complex64) for one in (a, b))
    assert bound("resonance", dict(zip("ab", vectors, strict=True)))["resonance"].tolist() == [[np.float32(wanted)]]


@pytest.mark.parametrize(
    ("re", "im", "wanted"),
    [
        # The magnitudes e^(n/2) - 1 are 0.64872, 1.71828, 3.48169 and 6.38906.
        (0.0, -0.0, 0), (0.6487, 0.0, 0), (0.0, -0.6488, 1), (1.718, 0, 1), (-1.719, 0, 2), (0, 3.481, 2),
        (0, 3.482, 3), (6.389, 0, 3), (6.3891, 0, 4), (4.518, 4.517, 3), (4.518, 4.519, 4), (np.inf, -np.inf, 4),
    ],
)  # fmt: skip
def test_harmonics_by_hand(re: float, im: float, wanted: int) -> None:
    assert harmonics(re, im) == wanted


def test_a_signature_has_a_number_for_each_of_nine() -> None:
    point = np.zeros((1, 9), np.complex64)
    point[0, [1, 8]] = 2j, -7
    found = bound("harmonic_signature", {"psi": point})["signature"]
    assert found.dtype == np.int8
    assert found.tolist() == [[0, 2, 0, 0, 0, 0, 0, 0, 4]]


def test_scans_by_hand() -> None:
    # h: 2 * 1 + 3 * 1 = 5, then 2 * 5 + 3 * 4 = 22; y = -h.
    one = {name: np.array([[value]], np.float32) for name, value in (("A", 2), ("B", 3), ("C", -1), ("h0", 1))}
    found = bound("ssm_scan", {**one, "x": np.array([[[1], [4]]], np.float32)})
    assert found["y"].tolist() == [[[-5], [-22]]]
    assert found["h"].tolist() == [[22]]
    assert found["y"].dtype == np.float32
    # The state turns by a quarter, and the second output is its conjugate's multiple.
    turning = {"A": np.array([[1j]], np.complex64), "B": np.ones((1, 2), np.complex64)}
    outputs = {"C": np.array([[1], [2j]], np.complex64), "x": np.array([[[1, 0], [0, 0], [2, 3j]]], np.complex64)}
    found = bound("ssm_scan", {**turning, **outputs})
    assert found["y"][0].tolist() == [[1, 2j], [1j, -2], [1 + 3j, -6 + 2j]]
    assert found["h"].tolist() == [[1 + 3j]]
    empty = bound("ssm_scan", {**one, "x": np.zeros((1, 0, 1), np.float32)})
    assert empty["h"].tolist() == [[1]]


def test_scores_of_attention_by_hand() -> None:
    one, two = np.array([1, 1j]), np.array([2, 0])
    # Equal vectors: (4 - 1 - 1) / 2 of their square; opposite ones: its negative; orthogonal ones: 0.
    assert interference(one, one, 9.0) == pytest.approx(1)
    assert interference(one, -one, 7.0) == pytest.approx(-1 + 0.2)
    assert interference(one, 1j * one, 9.0) == pytest.approx(0)
    # |(3, 1j)|^2 - 2 - 4 = 4, over 6.
    assert interference(one, two, 0.0) == pytest.approx(4 / 6 + 0.9)
    assert interference(0 * one, 0 * one, 9.0) == 0


def test_heads_of_attention_by_hand() -> None:
    # An eighth of a second at 2 Hz is a quarter of a turn.
    assert turned([[1, 2j], [3, 0]], [0.125, 0.25], 2.0) == pytest.approx(np.array([[1j, -2], [-3, 0]]))
    arrays = {"q": np.array([[1]], np.complex64), "k": np.array([[1], [-1]], np.complex64)}
    given = {**arrays, "v": np.array([[1j], [0]], np.complex64), "trace": np.zeros(2, np.float32)}
    # Weights e^1 and e^-1.
    assert bound("wave_attention", given)["attended"][0, 0] == pytest.approx(1j * exp(1) / (exp(1) + exp(-1)))
    # Half a second: the heads' turns differ, and the second key is turned against the query.
    found = bound("wave_attention", {**given, "tq": np.zeros(1), "tk": np.array([0, 0.5])})["attended"][0, 0]
    golden_ratio = (1 + 5**0.5) / 2
    against = [cos(pi * pi * golden_ratio**n) for n in range(8)]
    assert found == pytest.approx(1j * sum(exp(1) / (exp(1) + exp(-x)) for x in against) / 8)
