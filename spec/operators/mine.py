"""mine: quantise, similarity and topk in one."""

from ..formats import K_MAX
from ..signature import Limit, Operator, Option, Resident, Tensor

__all__ = ["OPERATOR"]


def _kept(options: dict[str, object]) -> int:
    return int(options["k"]) * int(options["rerank"] or 1)  # type: ignore[call-overload,no-any-return]


#: The queries are quantised with the database's own scale and mode; ids are row numbers. ``threshold`` and ``rerank``
#: are applied by one host function after any backend, so a backend only ever sees k.
OPERATOR = Operator(
    name="mine",
    summary="Find the k rows of a database nearest to each query, exactly on nits.",
    arguments=(
        Tensor("q", ("Q", "D"), ("float32",), doc="queries, not quantised"),
        Resident("database", "database", {"dimensions": "D", "rows": "N"}, doc="packed nits, scale and mode"),
    ),
    options=(
        Option("k", int, 10, low=1, high=K_MAX, doc="how many to keep"),
        Option("threshold", str, None, choices=("adaptive",), doc="drop what is near the mean of the returned scores"),
        Option("rerank", int, None, low=1, high=K_MAX, doc="score the best rerank * k again with the float vectors"),
    ),
    results=(
        Tensor("ids", ("Q", "k"), ("int64",), doc="row numbers, best first"),
        Tensor("scores", ("Q", "k"), ("int32", "float64"), doc="integer scores; float64 when reranked"),
        Tensor("count", ("Q",), ("int64",), doc="how many slots hold a result"),
    ),
    rows="Q",
    limits=(Limit("rerank * k", lambda _, options: _kept(dict(options)), 1, K_MAX),),
)
