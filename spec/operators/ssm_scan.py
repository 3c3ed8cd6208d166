"""``ssm_scan``: linear state-space models over sequences."""

from typing import Any

from ..finite import check_finite
from ..signature import Bound, Call, Limit, Operator, Scale, Tensor

__all__ = ["OPERATOR", "is_complex"]

_NUMBERS = ("complex64", "float32")


def is_complex(call: Call) -> bool:
    """Return True if an argument of a call is complex, so that the results are."""
    return any(value is not None and value.dtype.kind == "c" for value in call.arguments.values())


def _check(call: Call) -> None:
    for name, value in call.arguments.items():
        if value is not None:
            check_finite(name, value)


def _largest(_: Any, wanted: Any) -> Any:
    axes = tuple(range(1, wanted.ndim))
    return abs(wanted).max(axis=axes, keepdims=True)


_CLOSE = Bound(
    "absolute",
    1e-5,
    "backends add products in different orders and precisions",
    Scale("the sequence's largest magnitude", _largest),
)


def _result(name: str, shape: tuple[str, ...], doc: str) -> Tensor:
    # NaN is allowed, because a model that grows without bound ends in it.
    return Tensor(name, shape, _NUMBERS, nan=True, tolerance=_CLOSE, doc=doc)


def _positive(name: str) -> Limit:
    return Limit(name, lambda sizes, _: sizes[name], 1, 4096)


#: h_k = A h_(k-1) + B x_k and y_k = C h_k, in order, for each of N sequences of K steps. Results are float32 if all
#: arguments are, else complex64.
OPERATOR = Operator(
    name="ssm_scan",
    summary="Run a linear state-space model over sequences.",
    arguments=(
        Tensor("x", ("N", "K", "M"), _NUMBERS, doc="inputs of each sequence, finite"),
        Tensor("A", ("S", "S"), _NUMBERS, doc="factor of the state, finite"),
        Tensor("B", ("S", "M"), _NUMBERS, doc="factor of the input, finite"),
        Tensor("C", ("P", "S"), _NUMBERS, doc="factor of the output, finite"),
        Tensor("h0", ("N", "S"), _NUMBERS, optional=True, doc="state before the first step, finite; 0 if omitted"),
    ),
    results=(
        _result("y", ("N", "K", "P"), "outputs of each sequence"),
        _result("h", ("N", "S"), "state after the last step"),
    ),
    rows="N",
    family="wave",
    limits=(_positive("M"), _positive("S"), _positive("P")),
    check=_check,
)
