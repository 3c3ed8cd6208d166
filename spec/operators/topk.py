"""``topk``: the k largest scores of each row."""

from ..formats import K_MAX, NO_ID
from ..signature import Operator, Option, Tensor

__all__ = ["OPERATOR"]

#: Scores are in descending order, with ties in order of arrival. Slots from ``count`` on hold NO_ID and INT32_MIN
#: (minus infinity for float scores). Without ``ids``, the id is the position.
OPERATOR = Operator(
    name="topk",
    summary="Keep the k largest scores of each row, ties by arrival.",
    arguments=(
        Tensor("scores", ("Q", "N"), ("int32", "float32"), doc="scores in order of arrival"),
        Tensor("ids", ("N",), ("int64",), low=0, optional=True, doc="id of each column"),
    ),
    options=(Option("k", int, Option.REQUIRED, low=1, high=K_MAX, doc="maximum number of results per row"),),
    results=(
        Tensor("ids", ("Q", "k"), ("int64",), NO_ID, doc="ids, best first"),
        Tensor("scores", ("Q", "k"), ("int32", "float32"), doc="scores of these ids"),
        Tensor("count", ("Q",), ("int64",), 0, K_MAX, doc="number of results"),
    ),
    rows="Q",
    family="nonary",
)
