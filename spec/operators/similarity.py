"""``similarity``: integer dot products of nits."""

from ..formats import DIMENSIONS_MAX, NIT_MAX, NIT_MIN
from ..signature import Limit, Operator, Option, Tensor

__all__ = ["OPERATOR"]

#: |score| <= 16 * D. ``normalised``: with n the sum of squares of a row of c, recip = (isqrt(2**34 // n) + 1) >> 1,
#: or 0 where n = 0; the score becomes (score * recip) >> 8, an arithmetic shift (floor).
OPERATOR = Operator(
    name="similarity",
    summary="Score every query against every vector.",
    arguments=(
        Tensor("q", ("Q", "D"), ("int8",), NIT_MIN, NIT_MAX, doc="queries"),
        Tensor("c", ("N", "D"), ("int8",), NIT_MIN, NIT_MAX, doc="vectors"),
    ),
    options=(Option("normalised", bool, False, doc="divide by the length of each vector, in fixed point"),),
    results=(Tensor("scores", ("Q", "N"), ("int32",), doc="dot products"),),
    rows="Q",
    family="nonary",
    limits=(Limit("D", lambda sizes, _: sizes["D"], 1, DIMENSIONS_MAX),),
)
