from fractions import Fraction
from math import atanh, ceil

import pytest

from ninefold.spec.formats import DIMENSIONS_MAX, MODES, THRESHOLDS, TRITS, Thresholds, coarse_bits, score_bits


def test_trits_are_the_unique_representation() -> None:
    assert sorted(TRITS) == list(range(-4, 5))
    assert len(set(TRITS.values())) == 9
    assert all(3 * t1 + t0 == nit for nit, (t1, t0) in TRITS.items())
    assert TRITS[2] == (1, -1)
    assert TRITS[-4] == (-1, -1)


def test_tanh_thresholds_are_where_four_tanh_rounds_up() -> None:
    assert THRESHOLDS["tanh"].values == tuple(ceil(4096 * atanh((2 * n - 1) / 8)) for n in (1, 2, 3, 4))
    assert THRESHOLDS["tanh"].reached_at == (515, 1615, 3004, 5547)


def test_linear_thresholds_are_the_midpoints_and_tie_toward_zero() -> None:
    assert THRESHOLDS["linear"].values == tuple(int(4096 * (n - Fraction(1, 2))) for n in (1, 2, 3, 4))
    assert THRESHOLDS["linear"].reached_at == (2049, 6145, 10241, 14337)


def test_modes() -> None:
    assert MODES == ("tanh", "linear")


@pytest.mark.parametrize("dimensions", [1, 2, 31, 32, 384, DIMENSIONS_MAX])
def test_score_bits_hold_both_extremes_and_no_bit_more(dimensions: int) -> None:
    bits, extreme = score_bits(dimensions), 16 * dimensions
    assert -(2 ** (bits - 1)) <= -extreme
    assert extreme <= 2 ** (bits - 1) - 1
    assert extreme > 2 ** (bits - 2) - 1


@pytest.mark.parametrize("dimensions", [1, 2, 31, 32, 384, DIMENSIONS_MAX])
def test_coarse_bits_hold_both_extremes_and_no_bit_more(dimensions: int) -> None:
    bits, extreme = coarse_bits(dimensions), 4 * dimensions
    assert -(2 ** (bits - 1)) <= -extreme
    assert extreme <= 2 ** (bits - 1) - 1
    assert extreme > 2 ** (bits - 2) - 1


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize(
    "values", [THRESHOLDS["tanh"].values, THRESHOLDS["linear"].values, (1, 2, 3, 4), (0, 9, 9, 30)]
)
def test_reached_at_is_the_same_rule(values: tuple[int, int, int, int], inclusive: bool) -> None:
    thresholds = Thresholds(values, inclusive)
    for magnitude in range(2**15 + 1):
        passed = [magnitude >= v if inclusive else magnitude > v for v in values]
        assert [magnitude >= v for v in thresholds.reached_at] == passed
