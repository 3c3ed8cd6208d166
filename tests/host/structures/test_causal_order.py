"""Order of events: by time, along the curve, then by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ninefold.host.structures import causal_order
from ninefold.sim.golden.hilbert import run as golden
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS

EVENTS = st.integers(0, 30)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), number=EVENTS, bits=st.integers(1, 8))
def test_it_is_a_stable_sort_of_pairs(data: st.DataObject, number: int, bits: int) -> None:
    times = data.draw(arrays(np.float64, number, elements=st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 2.0, np.inf])))
    points = data.draw(arrays(np.int64, (number, 8), elements=st.integers(0, (1 << bits) - 1)))
    call = OPERATORS["hilbert"].bind({"coords": points}, {"bits": bits})
    index = golden(call)["index"].tolist()
    expected = sorted(range(number), key=lambda row: (float(times[row]), index[row]))
    found = causal_order(times, points, bits)
    assert found.dtype == np.int64
    assert found.tolist() == expected


def test_times_that_float64_cannot_tell_apart_are_told_apart() -> None:
    times = np.array([2**60 + 1, 2**60, 2**60 + 2])
    assert causal_order(times, np.zeros((3, 8), np.int64)).tolist() == [1, 0, 2]


def test_events_of_one_time_follow_the_curve() -> None:
    random = np.random.default_rng(1)
    cube = random.permutation(np.stack(np.meshgrid(*[[0, 1]] * 8, indexing="ij"), -1).reshape(-1, 8))
    path = cube[causal_order(np.zeros(256), cube, 1)]
    assert (np.abs(np.diff(path, axis=0)).sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("times", "points", "bits", "message"),
    [
        (np.zeros((2, 1)), np.zeros((2, 8), int), 8, r"times must be numbers of shape \(N,\), not float64 of shape"),
        (np.array(["a"]), np.zeros((1, 8), int), 8, "times must be numbers"),
        (np.zeros(2), np.zeros((2, 7), int), 8, r"points must have shape \(2, 8\), as there are times, not \(2, 7\)"),
        (np.array([0, np.nan]), np.zeros((2, 8), int), 8, r"times must not be NaN: times\[1\] is"),
        (np.zeros(1), np.full((1, 8), 4), 2, "below 4, as bits is 2, not 4"),
        (np.zeros(1), np.zeros((1, 8), int), 9, "64"),
    ],
)
def test_bad_input_is_refused(
    times: npt.NDArray[np.generic], points: npt.NDArray[np.int64], bits: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        causal_order(times, points, bits)
