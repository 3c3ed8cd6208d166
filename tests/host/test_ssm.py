"""State-space models: stabilising, and sequences that the processor scans together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.ssm import stabilise
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS


def test_a_stable_model_stays_and_its_step_is_limited() -> None:
    a = np.array([[0.5, 3.0], [0.0, -0.25]], np.float32)
    found, step = stabilise(a, 2.0)
    assert found is a
    assert step == 0.5 / (0.5 + 1e-6)
    assert stabilise(a, 0.125)[1] == 0.125
    assert stabilise(np.zeros((2, 2)), 1e9)[1] == 0.5 / 1e-6


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex64])
def test_a_large_radius_becomes_ten(kind: Any) -> None:
    # A rotation by a quarter, times 40: eigenvalues 40j and -40j. Its norm is their magnitude, unlike the next one's.
    found, step = stabilise(np.array([[0, -40], [40, 0]], kind), 1.0)
    assert found.dtype == kind
    assert np.abs(found - np.array([[0, -10], [10, 0]])).max() <= 1e-5
    assert step == 0.5 / (10 + 1e-6)
    shear = np.array([[20, 1000], [0, 5]], kind)
    assert np.abs(stabilise(shear, 1.0)[0] - shear / 2).max() <= 1e-4


def test_eigenvalues_of_huge_numbers() -> None:
    found, _ = stabilise(np.array([[3e38, 0], [3e38, 1]], np.float32), 1.0)
    assert np.abs(np.linalg.eigvals(found.astype(np.float64))).max() == pytest.approx(10)


@pytest.mark.parametrize(
    ("a", "step", "said"),
    [
        (np.zeros((2, 3)), 1.0, r"a must be a square matrix with at least one row, not of shape \(2, 3\)"),
        (np.zeros((0, 0)), 1.0, r"a must be a square matrix with at least one row, not of shape \(0, 0\)"),
        (np.zeros((2, 2), int), 1.0, "a must hold floats or complex numbers, not int64"),
        (np.full((1, 1), np.inf), 1.0, "a must be finite"),
        (np.ones((1, 1)), 0.0, "step must be finite and above 0, not 0.0"),
        (np.ones((1, 1)), float("nan"), "step must be finite and above 0, not nan"),
    ],
)
def test_refusals(a: Any, step: float, said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}$"):
        stabilise(a, step)


@pytest.mark.parametrize("sequences", [1, 5, 13])
def test_sequences_that_are_scanned_together_have_the_bits_of_each_alone(sequences: int) -> None:
    rng = np.random.default_rng(sequences)
    shapes = {"x": (sequences, 40, 3), "A": (20, 20), "B": (20, 3), "C": (9, 20), "h0": (sequences, 20)}
    given = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    device = Cpu(threads=1).open()
    whole = device.run(OPERATORS["ssm_scan"].bind(given)).values
    for n in range(sequences):
        one = {**given, **{name: given[name][n : n + 1] for name in ("x", "h0")}}
        alone = device.run(OPERATORS["ssm_scan"].bind(one)).values
        for name, array in alone.items():
            assert array.tobytes() == whole[name][n : n + 1].tobytes(), name
