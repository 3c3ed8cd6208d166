"""``superpose``: nits of the sum of two waves."""

from __future__ import annotations

from math import inf
from typing import Any

from ..errors import InputError
from ..formats import NIT_MAX, NIT_MIN
from ..signature import Call, Operator, Tensor

__all__ = ["OPERATOR"]

_NUMBERS = ("complex64", "float32")


def _check(call: Call) -> None:
    a, b = call.arguments["a"], call.arguments["b"]
    if a.shape != b.shape:
        raise InputError(f"b must have the shape of a, {a.shape}, not {b.shape}")
    if 0 in a.shape:
        return
    a, b = a.real, b.real
    if _infinite(a) and _infinite(b):
        opposite = (a == -b) & (abs(a) == inf)
        if opposite.any():
            at = int(opposite.reshape(-1).argmax())
            raise InputError(f"a + b must be a number, not the sum of opposite infinities at element {at}")


def _infinite(array: Any) -> bool:
    return bool(array.max() == inf or array.min() == -inf)


#: s = real(a) + real(b), one float32 sum rounded to the nearest (ties to even), with subnormal numbers. ``quantise``
#: with mode ``linear`` and scale 1 makes the nits. Infinities saturate; opposite infinities have no sum and are
#: refused.
OPERATOR = Operator(
    name="superpose",
    summary="Add two waves, and quantise the real part of their sum.",
    arguments=(
        Tensor("a", ("...", "D"), _NUMBERS, doc="one wave; of complex numbers the real part counts"),
        Tensor("b", ("...", "D"), _NUMBERS, doc="the other wave, of the same shape"),
    ),
    results=(Tensor("nits", ("...", "D"), ("int8",), NIT_MIN, NIT_MAX, doc="one nit per sum"),),
    rows="...",
    family="wave",
    check=_check,
)
