"""``dmi_hot``: the clusters with the largest momentum."""

from ..formats import K_MAX, NO_ID
from ..momentum import CLUSTERS_MAX, DIMENSIONS_MAX, MEMORY
from ..signature import Limit, Operator, Option, Resident, Tensor

__all__ = ["OPERATOR"]

#: Slots from ``count`` on hold NO_ID and minus infinity.
OPERATOR = Operator(
    name="dmi_hot",
    summary="List the clusters with a momentum of 0.1 or more, largest first, ties by id.",
    arguments=(Resident("state", "state", MEMORY, doc="the memory"),),
    options=(Option("k", int, 64, low=1, high=K_MAX, doc="maximum number of clusters"),),
    results=(
        Tensor("ids", ("k",), ("int64",), NO_ID, doc="clusters, hottest first"),
        Tensor("momentum", ("k",), ("float32",), doc="momentum of these clusters"),
        Tensor("count", (), ("int64",), 0, K_MAX, doc="number of clusters"),
    ),
    limits=(
        Limit("C", lambda sizes, _: sizes["C"], 1, CLUSTERS_MAX),
        Limit("D", lambda sizes, _: sizes["D"], 1, DIMENSIONS_MAX),
    ),
    family="memory",
)
