"""``search6d``: the records of a database that are most similar to each query."""

from ..context import CANDIDATES, check_scored, columns, record_columns
from ..formats import K_MAX, MODES, NO_ID
from ..layouts import Layout
from ..signature import Call, Operator, Option, Resident, Tensor
from ..vector6d import EMBEDDING
from .mine import ALLOWED, check_mask
from .similarity6d import SIMILARITY_BOUND

__all__ = ["OPERATOR", "RECORDS"]

#: Columns of records, and the nits of their embeddings, each divided by its length before.
RECORDS = Layout(
    "records",
    fields=(Tensor("nits", ("N", EMBEDDING // 2), ("uint8",), doc="packed"), *columns("N")),
    attributes=(
        Option("rows", int, Option.REQUIRED, low=0, doc="number of records"),
        Option("dimensions", int, Option.REQUIRED, low=EMBEDDING, high=EMBEDDING, doc="nits of an embedding"),
        Option("scale", float, Option.REQUIRED, positive=True, doc="factor of queries before rounding to the grid"),
        Option("mode", str, Option.REQUIRED, choices=MODES, doc="thresholds of the quantiser"),
    ),
    sizes={"rows": "N"},
)


def _check(call: Call) -> None:
    check_scored("q", call.arguments["q"])
    if (allowed := call.arguments["allowed"]) is not None:
        check_mask(allowed, call.sizes["N"])


#: The best 4 k records by ``mine`` on the embeddings, divided by their lengths, are scored by ``similarity6d``. The
#: best k of them are the result, of equal scores the lower row first. Records whose scores differ by less than the
#: tolerance may be in either order. Slots from ``count`` on hold NO_ID and minus infinity.
OPERATOR = Operator(
    name="search6d",
    summary="Find the k records of a database most similar to each query, of the 4 k nearest by embedding.",
    arguments=(
        record_columns("q", "Q", "queries"),
        Resident("database", "database", RECORDS, doc="records, and the nits of their embeddings"),
        ALLOWED,
    ),
    options=(Option("k", int, 10, low=1, high=K_MAX // CANDIDATES, doc="maximum number of results per query"),),
    results=(
        Tensor("ids", ("Q", "k"), ("int64",), NO_ID, doc="row numbers, best first"),
        Tensor("scores", ("Q", "k"), ("float32",), tolerance=SIMILARITY_BOUND, doc="similarities"),
        Tensor("count", ("Q",), ("int64",), 0, K_MAX // CANDIDATES, doc="number of results"),
    ),
    rows="Q",
    family="memory",
    check=_check,
)
