"""The host's quantiser against its definition, in integers and fractions, and what follows from that."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.numerics import quantise as module
from ninefold.numerics.quantise import grid, quantise
from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN, MODES, THRESHOLDS, Mode

NUMBERS = st.lists(st.floats(-40, 40, width=32) | st.floats(allow_nan=False, width=32), min_size=1, max_size=30)
SCALES = st.floats(0.01, 100) | st.floats(1e-30, 1e30)
QUICK = settings(max_examples=60, deadline=None, derandomize=True)


def float32(x: float) -> float:
    """Round to the nearest float32; an infinity beyond the largest."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")


def on_the_grid(x: float, scale: float) -> int:
    """Return clip(round_half_even(4096 * float32(x) * float32(scale)))."""
    product = float32(float32(x) * float32(scale))  # a double holds the product of two floats exactly
    if abs(product) > 1e6:
        return GRID_MAX if product > 0 else GRID_MIN
    return min(GRID_MAX, max(GRID_MIN, round(Fraction(product) * 2**GRID_FRACTION_BITS)))


def nit_of(value: int, mode: Mode) -> int:
    """Return the nit of a grid value: how many thresholds its magnitude has reached, or exceeds."""
    limits, magnitude = THRESHOLDS[mode], abs(value)
    reached = sum(magnitude >= t if limits.inclusive else magnitude > t for t in limits.values)
    return reached if value > 0 else -reached


@QUICK
@given(NUMBERS, SCALES, st.sampled_from(MODES))
def test_it_is_what_its_definition_says(numbers: list[float], scale: float, mode: Mode) -> None:
    x = np.array(numbers, np.float32)
    expected = [on_the_grid(number, scale) for number in numbers]
    assert grid(x, scale).tolist() == expected
    assert quantise(x, scale, mode).tolist() == [nit_of(value, mode) for value in expected]


@pytest.mark.parametrize("mode", MODES)
def test_every_grid_value(mode: Mode) -> None:
    values = range(GRID_MIN, GRID_MAX + 1)
    x = np.array(values, np.float32) / 2**GRID_FRACTION_BITS
    assert quantise(x, 1.0, mode).tolist() == [nit_of(value, mode) for value in values]


@QUICK
@given(NUMBERS, SCALES, st.sampled_from(MODES))
def test_larger_numbers_never_have_smaller_nits_and_signs_are_alike(
    numbers: list[float], scale: float, mode: Mode
) -> None:
    x = np.sort(np.array(numbers, np.float32))
    nits = quantise(x, scale, mode)
    assert (np.diff(nits) >= 0).all()
    assert np.array_equal(quantise(-x, scale, mode), -nits)
    assert np.abs(nits).max() <= 4


@QUICK
@given(NUMBERS, st.integers(1, 7), st.sampled_from(MODES))
def test_blocks_change_nothing(numbers: list[float], size: int, mode: Mode) -> None:
    x = np.array(numbers, np.float32)
    whole = quantise(x, 1.0, mode)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", size)
        assert np.array_equal(quantise(x, 1.0, mode), whole)
