"""``hilbert``: indices of points along a Hilbert curve."""

from __future__ import annotations

from ..errors import InputError
from ..signature import Call, Limit, Operator, Option, Tensor
from ..waves import INDEX_BITS

__all__ = ["BITS", "INTEGERS", "OPERATOR"]

#: dtypes of coordinates and indices in arguments. Results have the first.
INTEGERS = ("uint64", "uint32", "int64")
BITS = Option("bits", int, Option.REQUIRED, low=1, high=INDEX_BITS, doc="bits of a coordinate")


def _check(call: Call) -> None:
    coords, bits = call.arguments["coords"], call.options["bits"]
    if 0 not in coords.shape and (most := int(coords.max())) >> bits:
        raise InputError(f"coords must be below {1 << bits}, as bits is {bits}, not {most}")


#: Skilling's transform (J. Skilling, "Programming the Hilbert curve", 2004). Bit 0 of all coordinates gives the lowest
#: D bits of the index, bit 1 the next, and so on; coordinate 0 gives the highest bit of each group. Points of
#: neighbouring indices differ by 1 in one coordinate.
OPERATOR = Operator(
    name="hilbert",
    summary="Find the index of each point along the Hilbert curve.",
    arguments=(Tensor("coords", ("N", "D"), INTEGERS, low=0, doc="points of D coordinates, each below 2**bits"),),
    options=(BITS,),
    results=(Tensor("index", ("N",), ("uint64",), low=0, doc="index of each point, below 2**(D * bits)"),),
    limits=(Limit("D * bits", lambda sizes, options: sizes["D"] * options["bits"], 1, INDEX_BITS),),
    rows="N",
    family="wave",
    check=_check,
)
