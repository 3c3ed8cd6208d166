"""``mine``: quantise, similarity and topk combined."""

from ..formats import DIMENSIONS_MAX, K_MAX, MODES, NO_ID
from ..signature import Derived, Layout, Limit, Operator, Option, Resident, Shards, Tensor

__all__ = ["DATABASE", "OPERATOR"]

#: Rows of nits, with the scale and mode of the queries.
DATABASE = Layout(
    "database",
    fields=(
        Tensor("nits", ("N", Derived("ceil(D / 2)", lambda sizes: (sizes["D"] + 1) // 2)), ("uint8",), doc="packed"),
        Tensor("vectors", ("N", "D"), ("float16",), optional=True, doc="float vectors for reranking"),
    ),
    attributes=(
        Option("rows", int, Option.REQUIRED, low=0, doc="number of rows"),
        Option("dimensions", int, Option.REQUIRED, low=1, high=DIMENSIONS_MAX, doc="nits of a row"),
        Option("scale", float, Option.REQUIRED, positive=True, doc="factor of queries before rounding to the grid"),
        Option("mode", str, Option.REQUIRED, choices=MODES, doc="thresholds of the quantiser"),
    ),
    sizes={"rows": "N", "dimensions": "D"},
)


def _kept(options: dict[str, object]) -> int:
    return int(options["k"]) * int(options["rerank"] or 1)  # type: ignore[call-overload,no-any-return]


#: Queries are quantised with the scale and mode of the database. Ids are row numbers. One host function applies
#: ``threshold`` and ``rerank`` after any backend, so a backend only uses k.
OPERATOR = Operator(
    name="mine",
    summary="Find the k rows of a database nearest to each query, exactly on nits.",
    arguments=(
        Tensor("q", ("Q", "D"), ("float32",), doc="queries, not quantised"),
        Resident("database", "database", DATABASE, doc="packed nits, scale and mode"),
    ),
    options=(
        Option("k", int, 10, low=1, high=K_MAX, doc="maximum number of results per query"),
        Option("threshold", str, None, choices=("adaptive",), doc="drop results near the mean of the returned scores"),
        Option("rerank", int, None, low=1, high=K_MAX, doc="rescore the best rerank * k by the float vectors"),
    ),
    results=(
        Tensor("ids", ("Q", "k"), ("int64",), NO_ID, doc="row numbers, best first"),
        Tensor("scores", ("Q", "k"), ("int32", "float64"), doc="integer scores; float64 when reranked"),
        Tensor("count", ("Q",), ("int64",), 0, K_MAX, doc="number of results"),
    ),
    rows="Q",
    shards=Shards("N", merge="ranked"),
    family="nonary",
    limits=(Limit("rerank * k", lambda _, options: _kept(dict(options)), 1, K_MAX),),
)
