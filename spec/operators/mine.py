"""``mine``: quantise, similarity and topk combined."""

from ..formats import K_MAX
from ..signature import Limit, Operator, Option, Resident, Tensor

__all__ = ["OPERATOR"]


def _kept(options: dict[str, object]) -> int:
    return int(options["k"]) * int(options["rerank"] or 1)  # type: ignore[call-overload,no-any-return]


#: Queries are quantised with the scale and mode of the database. Ids are row numbers. One host function applies
#: ``threshold`` and ``rerank`` after any backend, so a backend only uses k.
OPERATOR = Operator(
    name="mine",
    summary="Find the k rows of a database nearest to each query, exactly on nits.",
    arguments=(
        Tensor("q", ("Q", "D"), ("float32",), doc="queries, not quantised"),
        Resident("database", "database", {"dimensions": "D", "rows": "N"}, doc="packed nits, scale and mode"),
    ),
    options=(
        Option("k", int, 10, low=1, high=K_MAX, doc="maximum number of results per query"),
        Option("threshold", str, None, choices=("adaptive",), doc="drop results near the mean of the returned scores"),
        Option("rerank", int, None, low=1, high=K_MAX, doc="rescore the best rerank * k by the float vectors"),
    ),
    results=(
        Tensor("ids", ("Q", "k"), ("int64",), doc="row numbers, best first"),
        Tensor("scores", ("Q", "k"), ("int32", "float64"), doc="integer scores; float64 when reranked"),
        Tensor("count", ("Q",), ("int64",), doc="number of results"),
    ),
    rows="Q",
    limits=(Limit("rerank * k", lambda _, options: _kept(dict(options)), 1, K_MAX),),
)
