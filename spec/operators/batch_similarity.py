"""``batch_similarity``: similarity of embeddings with times."""

from typing import Any, Final

from ..signature import Bound, Call, Limit, Operator, Scale, Tensor

__all__ = ["OPERATOR", "TIME_MAX", "VALUE_MAX"]

#: Largest magnitude of an element, whose products do not overflow float32.
VALUE_MAX: Final = 1e15
#: Largest magnitude of a time in seconds; in microseconds it fits 64 bits.
TIME_MAX: Final = 1e12


def _lengths(call: Call, _: Any) -> Any:
    squares = [(call.arguments[name].astype("float64") ** 2).sum(axis=1) ** 0.5 for name in ("a", "b")]
    products = squares[0][:, None] * squares[1]
    return products.clip(1.0)


#: 0.7 times the dot product and 0.3 exp(-|dt| / 300 s). Embeddings are divided by their lengths before, so that the dot
#: product is their cosine; other vectors are taken as they are.
OPERATOR = Operator(
    name="batch_similarity",
    summary="Compute the similarity of embeddings with times.",
    arguments=(
        Tensor("a", ("Q", "D"), ("float32",), -VALUE_MAX, VALUE_MAX, doc="queries, of length 1"),
        Tensor("b", ("N", "D"), ("float32",), -VALUE_MAX, VALUE_MAX, doc="vectors, of length 1"),
        Tensor("a_time", ("Q",), ("float64",), -TIME_MAX, TIME_MAX, doc="time of each query in seconds"),
        Tensor("b_time", ("N",), ("float64",), -TIME_MAX, TIME_MAX, doc="time of each vector in seconds"),
    ),
    results=(
        Tensor(
            "similarity",
            ("Q", "N"),
            ("float32",),
            tolerance=Bound(
                "absolute",
                1e-5,
                "backends add the products in different orders, in float32",
                Scale("max(1, abs(a) abs(b))", _lengths),
            ),
            doc="similarity; at most 1 for vectors of length 1",
        ),
    ),
    rows="Q",
    family="memory",
    limits=(Limit("D", lambda sizes, _: sizes["D"], 1, 65536),),
)
