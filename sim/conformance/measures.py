"""Measures of the difference between a backend's array and the golden model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.signature import Call
from ninefold.spec.tolerance import Bound

__all__ = ["MEASURES", "excess"]

_Array = npt.NDArray[Any]


def _wide(array: _Array) -> _Array:
    """Return numbers in the widest type of their kind, in which differences are formed."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def absolute(got: _Array, want: _Array) -> _Array:
    """Return the absolute value of the difference, 0 for equal infinities."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(_wide(got) - _wide(want))
    return np.where(got == want, 0.0, difference)


def relative(got: _Array, want: _Array) -> _Array:
    """Return the magnitude of the difference divided by the magnitude of `want`; infinity where only `want` is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(got == want, 0.0, absolute(got, want) / np.abs(_wide(want)))


def ulp(got: _Array, want: _Array) -> _Array:
    """Return the difference in units in the last place of `want`, of the larger part for complex numbers."""
    if want.dtype.kind == "c":
        return np.maximum(ulp(got.real, want.real), ulp(got.imag, want.imag))
    with np.errstate(invalid="ignore"):
        return np.where(got == want, 0.0, absolute(got, want) / np.abs(np.spacing(want)).astype(np.float64))


def cosine(got: _Array, want: _Array) -> _Array:
    """Return the cosine along the last axis; 1 between two zero vectors and 0 if only one is zero."""
    a, b = _wide(got), _wide(want)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    both = (np.linalg.norm(a, axis=-1) == 0) & (np.linalg.norm(b, axis=-1) == 0)
    inner = (a * b.conj()).sum(axis=-1).real
    return np.where(both, 1.0, inner / np.where(lengths == 0, 1.0, lengths))


#: Function ``(got, want) -> array`` of each measure in ``ninefold.spec.tolerance.MEASURES``.
MEASURES: Final[Mapping[str, Callable[[_Array, _Array], _Array]]] = MappingProxyType(
    {"absolute": absolute, "relative": relative, "ulp": ulp, "cosine": cosine}
)


def excess(bound: Bound, call: Call, got: _Array, want: _Array) -> str:
    """Return the worst value of a measure that is outside a bound, in words, or an empty string.

    Parameters
    ----------
    bound : Bound
        Tolerance.
    call : Call
        Call that was answered, on which the bound may depend.
    got, want : array
        Arrays of the backend and of the golden model, of equal shape and dtype.
    """
    if not want.size:
        return ""
    measured = MEASURES[bound.measure](got, want)
    limit = bound.limit if bound.scale is None else bound.limit * np.asarray(bound.scale.value(call, want))
    # Written so that NaN is outside every bound.
    wrong = ~(measured >= limit) if bound.measure == "cosine" else ~(measured <= limit)
    if not wrong.any():
        return ""
    at = np.unravel_index(int(np.argmax(wrong)), measured.shape)
    return f"{[int(i) for i in at]} has {bound.measure} {measured[at]:.6g}, not {bound} ({int(wrong.sum())} differ)"
