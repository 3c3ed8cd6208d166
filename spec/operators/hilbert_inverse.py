"""``hilbert_inverse``: points at indices along a Hilbert curve."""

from __future__ import annotations

from ..errors import InputError
from ..signature import Call, Limit, Operator, Option, Tensor
from ..waves import INDEX_BITS
from .hilbert import BITS, INTEGERS

__all__ = ["OPERATOR"]


def _check(call: Call) -> None:
    index, width = call.arguments["index"], call.options["dimensions"] * call.options["bits"]
    if 0 not in index.shape and (most := int(index.max())) >> width:
        raise InputError(f"index must be below {1 << width}, as dimensions * bits is {width}, not {most}")


#: The inverse of ``hilbert``.
OPERATOR = Operator(
    name="hilbert_inverse",
    summary="Find the point at each index along the Hilbert curve.",
    arguments=(Tensor("index", ("N",), INTEGERS, low=0, doc="indices below 2**(dimensions * bits)"),),
    options=(
        Option("dimensions", int, Option.REQUIRED, low=1, high=INDEX_BITS, doc="coordinates of a point"),
        BITS,
    ),
    results=(Tensor("coords", ("N", "dimensions"), ("uint64",), low=0, doc="points, each coordinate below 2**bits"),),
    limits=(Limit("dimensions * bits", lambda _, options: options["dimensions"] * options["bits"], 1, INDEX_BITS),),
    rows="N",
    family="wave",
    check=_check,
)
