"""Numbers and refusals of the wave family."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.waves import HARMONIC_THRESHOLDS

INF = np.array([1, np.inf], np.float32)


def test_harmonic_thresholds_are_the_nearest_numbers() -> None:
    with localcontext() as context:
        context.prec = 60
        assert list(HARMONIC_THRESHOLDS) == [float(((Decimal(n) / 2).exp() - 1) ** 2) for n in range(1, 5)]


@pytest.mark.parametrize(
    ("operator", "arguments", "options", "said"),
    [
        ("hilbert", {"coords": np.array([[8, 0]])}, {"bits": 3}, "coords must be below 8, as bits is 3, not 8"),
        ("hilbert", {"coords": np.array([[-1, 0]])}, {"bits": 3}, "coords must be at least 0, not -1"),
        ("hilbert", {"coords": np.zeros((1, 9), int)}, {"bits": 8}, r"D \* bits must be 1 to 64, not 72"),
        ("hilbert", {"coords": np.zeros((1, 0), int)}, {"bits": 8}, r"D \* bits must be 1 to 64, not 0"),
        ("hilbert", {"coords": np.zeros((1, 2))}, {"bits": 8}, "coords must have dtype uint64 or uint32 or int64, not"),
        (
            "hilbert_inverse",
            {"index": np.array([64])},
            {"dimensions": 2, "bits": 3},
            r"index must be below 64, as dimensions \* bits is 6, not 64",
        ),
        (
            "hilbert_inverse",
            {"index": np.array([0])},
            {"dimensions": 9, "bits": 8},
            r"dimensions \* bits must be 1 to 64, not 72",
        ),
        ("phase_hash", {"psi": np.full((1, 9), complex(0, np.nan), np.complex64)}, {}, "psi must not contain NaN"),
        ("phase_hash", {"psi": np.zeros((1, 8), np.complex64)}, {}, "psi must have 9 = 9, not 8"),
        ("superpose", {"a": INF, "b": INF[:1]}, {}, r"b must have D = 2, not 1"),
        ("superpose", {"a": INF, "b": INF[None]}, {}, r"b must have the shape of a, \(2,\), not \(1, 2\)"),
        ("superpose", {"a": INF, "b": INF * np.nan}, {}, "b must not contain NaN"),
        ("superpose", {"a": INF, "b": -INF}, {}, "a \\+ b must be a number, not the sum of opposite infinities at el"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_refusals(operator: str, arguments: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        OPERATORS[operator].bind(arguments, options)


def test_the_largest_coordinate_and_index_are_taken() -> None:
    most = np.array([2**64 - 1], np.uint64)
    OPERATORS["hilbert"].bind({"coords": most[:, None]}, {"bits": 64})
    OPERATORS["hilbert_inverse"].bind({"index": most}, {"dimensions": 64, "bits": 1})


def test_imaginary_infinities_have_sums() -> None:
    z = np.zeros(2, np.complex64)
    z.imag = np.inf
    OPERATORS["superpose"].bind({"a": z, "b": z.conj()})
