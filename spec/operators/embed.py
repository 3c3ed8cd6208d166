"""``embed``: sentences to unit vectors."""

from ..signature import Bound, Operator, Tensor

__all__ = ["OPERATOR"]

_TOLERANCE = Bound("cosine", 0.9999, reason="floating-point sums in another order, other exponentials")

OPERATOR = Operator(
    name="embed",
    summary="Embed token sequences with the sentence model: mean pooling, unit length.",
    arguments=(
        Tensor("tokens", ("Q", "T"), ("int64",), low=0, doc="token ids, padded at the end"),
        Tensor("mask", ("Q", "T"), ("int64",), low=0, high=1, doc="1 for a token, 0 for padding"),
    ),
    results=(Tensor("vectors", ("Q", 384), ("float32",), tolerance=_TOLERANCE, doc="embeddings of length 1"),),
    rows="Q",
    family="embedding",
)
