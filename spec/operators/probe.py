"""``probe``: the clusters of a database nearest to each query."""

from ..formats import MACRO_CLUSTERS, MICRO_CLUSTERS
from ..signature import Derived, Operator, Option, Resident, Tensor
from .mine import DATABASE, check_clusters

__all__ = ["OPERATOR"]

_LISTS = Derived("macro * micro", lambda sizes: sizes["macro"] * sizes["micro"])

#: The lists that ``mine`` searches with the same ``macro`` and ``micro``: the best ``micro`` of each of the best
#: ``macro`` clusters, all together by (score descending, id ascending).
OPERATOR = Operator(
    name="probe",
    summary="Find the lists of a clustered database nearest to each query.",
    arguments=(
        Tensor("q", ("Q", "D"), ("float32",), doc="queries, not quantised"),
        Resident("database", "database", DATABASE, doc="a clustered database"),
    ),
    options=(
        Option("macro", int, 8, low=1, high=8, doc="number of clusters"),
        Option("micro", int, 4, low=1, high=4, doc="number of lists in each of them"),
    ),
    results=(
        Tensor("ids", ("Q", _LISTS), ("int64",), 0, MACRO_CLUSTERS * MICRO_CLUSTERS - 1, doc="lists, best first"),
        Tensor("scores", ("Q", _LISTS), ("int32",), doc="scores of their centroids"),
        Tensor("count", ("Q",), ("int64",), 1, 32, doc="number of lists"),
    ),
    rows="Q",
    family="nonary",
    check=check_clusters,
)
