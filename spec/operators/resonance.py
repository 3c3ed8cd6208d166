"""``resonance``: cosines of the angles between complex vectors."""

from ..finite import check_finite
from ..signature import Bound, Call, Limit, Operator, Tensor

__all__ = ["OPERATOR"]

_NUMBERS = ("complex64", "float32")


def _check(call: Call) -> None:
    for name in ("a", "b"):
        check_finite(name, call.arguments[name])


#: |<a, b>| / (|a| |b|), with <a, b> the sum of a conj(b); 0 where either vector is zero. Neither a factor of a vector
#: nor its phase counts. It is the square root of ``overlap``.
OPERATOR = Operator(
    name="resonance",
    summary="Compute the resonance of every query with every vector, from 0 to 1.",
    arguments=(
        Tensor("a", ("Q", "D"), _NUMBERS, doc="queries, finite"),
        Tensor("b", ("N", "D"), _NUMBERS, doc="vectors, finite"),
    ),
    results=(
        Tensor(
            "resonance",
            ("Q", "N"),
            ("float32",),
            0,
            1,
            tolerance=Bound("absolute", 1e-6, "backends add the products in different orders and precisions"),
            doc="cosine of the angle between the two",
        ),
    ),
    rows="Q",
    family="wave",
    limits=(Limit("D", lambda sizes, _: sizes["D"], 1, 65536),),
    check=_check,
)
