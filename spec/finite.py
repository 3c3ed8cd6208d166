"""Check that numbers are finite, for operators whose definition gives infinities no meaning."""

from __future__ import annotations

from math import isinf
from typing import Any

from .errors import InputError

__all__ = ["check_finite"]


def check_finite(name: str, array: Any) -> None:
    """Check that no real or imaginary part of an array is infinite; a signature refuses NaN by itself.

    Parameters
    ----------
    name : str
        Name of the array, for the message.
    array : array of floats or complex numbers
        Array without NaN.

    Raises
    ------
    InputError
        A part is infinite; the message names the array and the value.
    """
    if 0 in array.shape:
        return
    for part in (array.real, array.imag) if array.dtype.kind == "c" else (array,):
        # The extremes take one pass each and no array of flags.
        for extreme in (part.min(), part.max()):
            if isinf(extreme):
                raise InputError(f"{name} must be finite, not {extreme}")
