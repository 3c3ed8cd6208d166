"""``membrane_hot``: the clusters with the largest momentum in membranes of the Loihi chip."""

from ..formats import INT32_MIN, K_MAX, NO_ID
from ..membranes import MEMBRANES
from ..momentum import CLUSTERS_MAX
from ..signature import Limit, Operator, Option, Resident, Tensor

__all__ = ["OPERATOR"]

#: A momentum of 0.1 is a voltage of 419,431. Slots from ``count`` on hold NO_ID and INT32_MIN.
OPERATOR = Operator(
    name="membrane_hot",
    summary="List the clusters whose membranes hold a momentum of 0.1 or more, largest first, ties by id.",
    arguments=(Resident("state", "state", MEMBRANES, doc="the membranes"),),
    options=(Option("k", int, 64, low=1, high=K_MAX, doc="maximum number of clusters"),),
    results=(
        Tensor("ids", ("k",), ("int64",), NO_ID, doc="clusters, hottest first"),
        Tensor("voltage", ("k",), ("int32",), INT32_MIN, doc="voltages of these clusters, momentum times 2**22"),
        Tensor("count", (), ("int64",), 0, K_MAX, doc="number of clusters"),
    ),
    limits=(Limit("C", lambda sizes, _: sizes["C"], 1, CLUSTERS_MAX),),
)
