"""``dmi_update``: vectors that enter the momentum memory."""

from ..momentum import (
    CLUSTERS_MAX,
    DIMENSIONS_MAX,
    MEMORY,
    TIME_MAX,
    VALUE_MAX,
    check_clock,
    check_clusters,
    check_times,
)
from ..signature import Call, Limit, Operator, Resident, Tensor

__all__ = ["OPERATOR"]


def _check(call: Call) -> None:
    times = call.arguments["times"]
    if not len(times):
        return
    check_clusters(call.arguments["clusters"], call.sizes["C"])
    check_times(times)
    # A device that keeps the state compares with the clock itself.
    if (clock := call.state().arrays.get("clock")) is not None:
        check_clock(float(times[0]), float(clock[0]))


#: Updates have effect one after another. Each has the weight w = 0.05 exp(-dt / 300), formed in float64 and rounded to
#: float32; dt is the time since the last update of the cluster, 0 if there was none. Then M = (1 - w) M + w v in
#: float32: each difference, product and sum is rounded, and the result is stored as the nearest float16, of two the
#: even one. Last, m = 0.9 m + 0.1 cosine(v, M). The cosine with a zero vector is 0.
OPERATOR = Operator(
    name="dmi_update",
    summary="Add vectors to the momentum memory, each to the row of its cluster.",
    arguments=(
        Resident("state", "state", MEMORY, doc="the memory"),
        Tensor("clusters", ("B",), ("int64",), doc="cluster of each vector"),
        Tensor("vectors", ("B", "D"), ("float32",), -VALUE_MAX, VALUE_MAX, doc="the vectors"),
        Tensor("times", ("B",), ("float64",), 0, TIME_MAX, doc="time of each vector in seconds, ascending"),
    ),
    results=(),
    limits=(
        Limit("C", lambda sizes, _: sizes["C"], 1, CLUSTERS_MAX),
        Limit("D", lambda sizes, _: sizes["D"], 1, DIMENSIONS_MAX),
    ),
    stateful=True,
    family="memory",
    check=_check,
)
