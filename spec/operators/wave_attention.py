"""``wave_attention``: attention between complex vectors, with heads at eight frequencies."""

from math import pi, sqrt
from typing import Any, Final

from ..errors import InputError
from ..finite import check_finite
from ..signature import Bound, Call, Limit, Operator, Scale, Tensor

__all__ = ["EPSILON", "HEADS_HZ", "OPERATOR"]

#: Frequencies of the heads: pi phi^n for n from 0 to 7, with phi the golden ratio.
HEADS_HZ: Final = tuple(pi * ((1 + sqrt(5)) / 2) ** n for n in range(8))
#: Addend of the squared lengths, so that zero vectors have a score.
EPSILON: Final = 1e-9


def _check(call: Call) -> None:
    given = call.arguments
    for name in ("q", "k", "v"):
        check_finite(name, given[name])
    if (given["tq"] is None) != (given["tk"] is None):
        raise InputError(f"tq and tk must be given together, not {'tk' if given['tq'] is None else 'tq'} alone")


def _largest(call: Any, _: Any) -> float:
    return float(abs(call.arguments["v"]).max())


def _size(name: str, high: int) -> Limit:
    return Limit(name, lambda sizes, _: sizes[name], 1, high)


#: A head of frequency f turns each query and key by 2 pi f t: ``heterodyne`` with a wave of amplitude 1 and frequency
#: 0, times 5. The score of a query and a position is (|q + k|^2 - |q|^2 - |k|^2) / (|q|^2 + |k|^2 + EPSILON) +
#: 0.1 (9 - trace), with the lengths of the whole vectors. The weights of a head are the softmax of its scores over all
#: positions; the result is the mean of all heads of the weighted sums of v. Without times all heads are the same.
OPERATOR = Operator(
    name="wave_attention",
    summary="Attend to positions by the interference of complex queries and keys.",
    arguments=(
        Tensor("q", ("Q", "D"), ("complex64",), doc="queries, finite"),
        Tensor("k", ("N", "D"), ("complex64",), doc="key of each position, finite"),
        Tensor("v", ("N", "E"), ("complex64",), doc="value of each position, finite"),
        Tensor("trace", ("N",), ("float32",), 0, 9, doc="trace of each position; a low one adds to its score"),
        Tensor("tq", ("Q",), ("float64",), -(10**6), 10**6, optional=True, doc="time of each query, in seconds"),
        Tensor("tk", ("N",), ("float64",), -(10**6), 10**6, optional=True, doc="time of each position, in seconds"),
    ),
    results=(
        Tensor(
            "attended",
            ("Q", "E"),
            ("complex64",),
            tolerance=Bound(
                "absolute",
                1e-5,
                "backends compute exponentials and sines with different last bits",
                Scale("the largest abs(v)", _largest),
            ),
            doc="weighted sum of values",
        ),
    ),
    rows="Q",
    family="wave",
    limits=(_size("D", 65536), _size("N", 2**31 - 1), _size("E", 65536)),
    check=_check,
)
