"""``dmi_clean``: momentum of old clusters, and new rows for those without any."""

from ..momentum import CLUSTERS_MAX, DIMENSIONS_MAX, MEMORY, TIME_MAX, check_clock
from ..signature import Call, Limit, Operator, Option, Resident, Tensor

__all__ = ["OPERATOR"]


def _check(call: Call) -> None:
    # A device that keeps the state compares with the clock itself.
    if (clock := call.state().arrays.get("clock")) is not None:
        check_clock(float(call.arguments["time"]), float(clock[0]))


#: The age of a cluster is the time since its last update; a cluster without one has no age. If it exceeds `max_age`, m
#: is multiplied by exp(-(age - max_age) / 300), formed in float64 and rounded to float32. If m is then below 0.01
#: (float32), the row is new: m, count and time of the last update are 0, the version is increased by 1, and M is drawn
#: as the function ``new_rows`` of ``numerics.momentum`` says.
OPERATOR = Operator(
    name="dmi_clean",
    summary="Reduce the momentum of old clusters, and reset the rows of those that have none left.",
    arguments=(
        Resident("state", "state", MEMORY, doc="the memory"),
        Tensor("time", (), ("float64",), 0, TIME_MAX, doc="current time in seconds"),
    ),
    options=(
        Option("max_age", float, 3600.0, low=0.0, high=TIME_MAX, doc="age in seconds above which momentum fades"),
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
