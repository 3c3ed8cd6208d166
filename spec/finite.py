"""Check that numbers are finite, for operators whose definition gives infinities no meaning."""

from __future__ import annotations

from math import isinf
from typing import Any

from .errors import InputError

__all__ = ["check_finite", "check_finite_halves"]

#: Numbers whose bits are compared at once, which stay in a cache.
_BLOCK = 1 << 16


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


def check_finite_halves(name: str, array: Any) -> None:
    """Check that all numbers of a float16 array are finite, by their bits, as float16 numbers are slow to compare.

    Parameters
    ----------
    name : str
        Name of the array, for the message.
    array : float16 array
        Any shape.

    Raises
    ------
    InputError
        A number is NaN or infinite; the message names the array and the number.
    """
    width = array[:1].size or 1
    step = max(1, _BLOCK // width)
    for first in range(0, len(array), step):
        some = array[first : first + step]
        # Without the sign, which the shift drops, an exponent of ones is at least 0xf800.
        bits = (some.view("uint16") if some.flags.c_contiguous else some.copy().view("uint16")) << 1
        if bits.size and bits.max() >= 0xF800:
            raise InputError(f"{name} must be finite, not {some.reshape(-1)[int(bits.argmax())]}")
