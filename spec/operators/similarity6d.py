"""``similarity6d``: similarity of context vectors by embedding, time, modality, intent, causes and confidence."""

from ..context import check_scored, record_columns
from ..signature import Bound, Call, Operator, Tensor

__all__ = ["OPERATOR", "SIMILARITY_BOUND"]

#: Tolerance of a similarity.
SIMILARITY_BOUND = Bound("absolute", 1e-5, "backends add products and round exponentials differently, in float32")


def _check(call: Call) -> None:
    for name in ("a", "b"):
        check_scored(name, call.arguments[name])


#: The weighted sum (`ninefold.spec.context.WEIGHTS`), clipped to 0..1, of
#: - the cosine of the embeddings, 0 where either is zero;
#: - exp(-|dt| / max(horizon of a, horizon of b, 300 s));
#: - the number of modality bits in both, divided by those in either; 0 where neither has one;
#: - the dot product of the softmaxes of the intents;
#: - the same quotient of the sets of hashes of the causal links; 0.5 where either record has no link;
#: - 1 - min(1, |difference of the model confidences|).
OPERATOR = Operator(
    name="similarity6d",
    summary="Compute the similarity of context vectors, from 0 to 1.",
    arguments=(record_columns("a", "Q", "queries"), record_columns("b", "N", "records")),
    results=(Tensor("similarity", ("Q", "N"), ("float32",), 0, 1, tolerance=SIMILARITY_BOUND, doc="similarity"),),
    rows="Q",
    family="memory",
    check=_check,
)
