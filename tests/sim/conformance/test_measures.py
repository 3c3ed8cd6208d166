"""Measures of a difference, against values worked out by hand."""

import numpy as np
import pytest

from ninefold.sim.conformance.measures import MEASURES, excess
from ninefold.spec.operators import OPERATORS
from ninefold.spec.tolerance import MEASURES as DECLARED
from ninefold.spec.tolerance import Bound, Scale

CALL = OPERATORS["topk"].bind({"scores": np.zeros((1, 1), np.int32)}, {"k": 1})


def test_each_declared_measure_is_computed() -> None:
    assert set(MEASURES) == set(DECLARED)


@pytest.mark.parametrize(
    ("measure", "got", "want", "value"),
    [
        ("absolute", [1.5], [1.0], [0.5]),
        ("absolute", [3 + 4j], [0j], [5.0]),
        ("absolute", [np.inf, np.inf], [np.inf, 0.0], [0.0, np.inf]),
        ("relative", [1.5, 0.0, 1.0], [2.0, 0.0, 0.0], [0.25, 0.0, np.inf]),
        ("ulp", [1.0 + 2**-23, 1.0], [1.0, 1.0], [1.0, 0.0]),
        ("ulp", [2.0**-149], [0.0], [1.0]),
        ("cosine", [[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]], [0.5**0.5, 1.0, 0.0]),
    ],
)
def test_values(measure: str, got: object, want: object, value: list[float]) -> None:
    dtype = np.complex64 if measure == "absolute" and "j" in str(got) else np.float32
    assert MEASURES[measure](np.array(got, dtype), np.array(want, dtype)).tolist() == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("measure", MEASURES)
def test_nan_and_the_first_step_outside_are_seen(measure: str) -> None:
    bound = Bound(measure, 0.5, "a reason")
    want = np.ones((2, 2), np.float32)
    assert excess(bound, CALL, want, want) == ""
    assert excess(bound, CALL, np.full((2, 2), np.nan, np.float32), want)
    wrong = want.copy()
    wrong[1] = [-4, 4]
    assert excess(bound, CALL, wrong, want).startswith("[1")


def test_a_bound_may_depend_on_the_call() -> None:
    scale = Scale("max |want|", lambda _, want: abs(want).max())
    bound = Bound("absolute", 0.01, "a reason", scale)
    assert str(bound) == "absolute <= 0.01 of max |want|"
    want = np.array([100.0, 0.0])
    assert excess(bound, CALL, want + 0.9, want) == ""
    assert (
        excess(bound, CALL, want + np.array([0, 1.1]), want)
        == "[1] has absolute 1.1, not absolute <= 0.01 of max |want| (1 differ)"
    )
