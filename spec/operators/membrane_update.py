"""``membrane_update``: cosines that enter the momentum of clusters, in the arithmetic of the Loihi chip."""

from ..membranes import MEMBRANES
from ..momentum import CLUSTERS_MAX, check_clusters
from ..signature import Call, Limit, Operator, Resident, Tensor

__all__ = ["OPERATOR"]


def _check(call: Call) -> None:
    if len(call.arguments["clusters"]):
        check_clusters(call.arguments["clusters"], call.sizes["C"])


#: Updates have effect one after another, each on the membrane v of its cluster. First abs(v) becomes
#: floor(abs(v) 3686 / 4096), then 64 times the integer nearest to 6560 cosine is added (of two the even one). So v
#: stays in its range. Only the rounding and the decay, 410 / 4096 instead of 0.1, differ from ``dmi_update``.
OPERATOR = Operator(
    name="membrane_update",
    summary="Add cosines to the leaky membranes of clusters, in the integers of the Loihi chip.",
    arguments=(
        Resident("state", "state", MEMBRANES, doc="the membranes"),
        Tensor("clusters", ("B",), ("int64",), doc="cluster of each cosine"),
        Tensor("cosines", ("B",), ("float32",), -1, 1, doc="the cosines"),
    ),
    results=(),
    limits=(Limit("C", lambda sizes, _: sizes["C"], 1, CLUSTERS_MAX),),
    stateful=True,
    check=_check,
)
