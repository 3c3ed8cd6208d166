"""Quantised weights: the bound of the error, outliers, packing, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ninefold.numerics.weights import BITS, QuantisedWeights, dequantise_weights, quantise_weights
from ninefold.spec.errors import DamagedDataError, InputError


def assert_bounded(weights: Any, found: QuantisedWeights) -> None:
    back = dequantise_weights(found)
    assert back.shape == weights.shape
    assert back.dtype == np.float32
    flat, error = weights.astype(np.float64).reshape(-1), np.abs(back.astype(np.float64) - weights).reshape(-1)
    assert (error[found.positions] == 0).all()
    assert back.reshape(-1)[found.positions].tolist() == flat[found.positions].tolist()
    assert (error.reshape(len(found.bound), -1) <= found.bound[:, None]).all()
    assert len(found.positions) == -(-weights.size // 100)
    if weights.size:
        others = np.delete(np.abs(flat), found.positions)
        assert np.abs(flat[found.positions]).min() >= others.max(initial=0)


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=60, deadline=None)
@given(
    weights=hnp.arrays(
        st.sampled_from([np.float32, np.float16]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=17),
        elements=st.floats(-60000, 60000, width=16),
    )
)
def test_the_error_is_bounded_and_outliers_are_exact(bits: int, weights: Any) -> None:
    assert_bounded(weights, quantise_weights(weights, bits))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("size", [1.0, 1e-39, 1e38])
def test_rows_have_their_own_scale(bits: int, size: float) -> None:
    rng = np.random.default_rng(3)
    weights = (rng.normal(0, 0.1, (40, 65)) * np.logspace(-3, 0, 40)[:, None] * size).astype(np.float32)
    found = quantise_weights(weights, bits)
    assert_bounded(weights, found)
    assert found.packed.nbytes == -(-40 * 65 * bits // 8)
    if size == 1.0:
        # The first row is a thousandth of the last one, which also holds for its error.
        error = np.abs(dequantise_weights(found) - weights).max(axis=1)
        assert error[0] < error[-1] / 100


def test_values_worked_out_by_hand() -> None:
    weights = np.array([[100, 7, -3.5, 0.6], [0.7, -0.1, 0.35, 0.25]], np.float32)
    found = quantise_weights(weights, 4)
    # The outlier is 100; the scales are 1 and 0.1. Of -3 and -4, the even one is taken for -3.5.
    assert found.scales == pytest.approx([1, 0.1])
    assert (found.positions.tolist(), found.outliers.tolist()) == ([0], [100])
    # 0, 7, -4, 1 and 7, -1, 3 or 4, 2 or 3: what float32 makes of 0.35 and 0.25 decides.
    assert found.packed[:2].tolist() == [0x70, 0x1C]
    assert dequantise_weights(found)[0].tolist() == [100, 7, -4, 1]
    assert found.packed[2] == 0xF7


@pytest.mark.parametrize(("bits", "packed"), [(8, [255, 1, 2, 254, 31]), (6, [127, 32, 248, 223, 7])])
def test_packing(bits: int, packed: list[int]) -> None:
    limit = 2 ** (bits - 1) - 1
    weights = np.array([-1, 1, 2, -2, 31, limit, 1000], np.float32)
    found = quantise_weights(weights, bits)
    assert found.scales.tolist() == [1]
    assert found.packed[: len(packed)].tolist() == packed


def test_of_equal_weights_the_first_are_outliers() -> None:
    found = quantise_weights(np.full(150, -2, np.float32), 8)
    assert found.positions.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("weights", "bits", "message"),
    [
        (np.zeros(3, np.float32), 5, "bits must be one of 8, 6, 4, not 5"),
        (np.zeros(3), 8, "weights must have dtype float32 or float16, not float64"),
        (np.array([[0, np.nan]], np.float32), 8, "weights must be finite, not nan at (0, 1)"),
        (np.array([np.inf, 0], np.float16), 4, "weights must be finite, not inf at (0,)"),
    ],
)
def test_wrong_weights_are_refused(weights: Any, bits: int, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        quantise_weights(weights, bits)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 3}, "bits must be one of 8, 6, 4, not 3"),
        ({"packed": np.zeros(2, np.uint8)}, "packed must be uint8 (3,), not uint8 (2,)"),
        ({"packed": np.array([0, 0x80, 0], np.uint8)}, "integers of 4 bits must be -7 to 7, not -8 at 3"),
        ({"scales": np.ones(2)}, "scales must be float32 (2,), not float64 (2,)"),
        ({"shape": (3, 2)}, "scales must be float32 (3,), not float32 (2,)"),
        ({"outliers": np.zeros(2, np.float32)}, "outliers must be float32 (1,), not float32 (2,)"),
        ({"positions": np.array([6], np.int32)}, "positions must ascend from 0 to 5"),
        ({"positions": np.array([-1], np.int32)}, "positions must ascend from 0 to 5"),
    ],
)
def test_damage_is_refused(changed: dict[str, Any], message: str) -> None:
    found = quantise_weights(np.arange(6, dtype=np.float32).reshape(2, 3), 4)
    with pytest.raises(DamagedDataError, match=f"^{re.escape(message)}$"):
        dequantise_weights(replace(found, **changed))
