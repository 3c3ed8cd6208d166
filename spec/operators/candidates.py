"""``candidates``: the first stage of ``mine`` with ``scan="signs"``: rows by the signs of their nits."""

from __future__ import annotations

from ..formats import CANDIDATES_MAX, NO_ID
from ..signature import Operator, Option, Resident, Shards, Tensor
from .mine import ALLOWED, CLUSTERS, DATABASE, check_stages

__all__ = ["OPERATOR"]

#: The coarse score of a row is the sum over d of the query's nit, negated where the row's nit is negative; a nit of 0
#: counts as positive. It is an integer of magnitude 4 D at most. Slots from ``count`` on hold NO_ID and INT32_MIN.
OPERATOR = Operator(
    name="candidates",
    summary="Find the rows of a database nearest to each query by the signs of their nits.",
    arguments=(
        Tensor("q", ("Q", "D"), ("float32",), doc="queries, not quantised"),
        Resident("database", "database", DATABASE, doc="packed nits, scale and mode"),
        ALLOWED,
    ),
    options=(
        Option("keep", int, 320, low=1, high=CANDIDATES_MAX, doc="maximum number of rows per query"),
        *CLUSTERS,
    ),
    results=(
        Tensor("ids", ("Q", "keep"), ("int64",), NO_ID, doc="row numbers, best first, ties by number"),
        Tensor("scores", ("Q", "keep"), ("int32",), doc="coarse scores"),
        Tensor("count", ("Q",), ("int64",), 0, CANDIDATES_MAX, doc="number of rows"),
    ),
    rows="Q",
    shards=Shards("N", merge="ranked", masks=("allowed",), lists=("order", "starts")),
    family="nonary",
    check=check_stages,
)
