"""Spot check of ``dmi_hot``."""

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.momentum import HOT
from ninefold.spec.signature import Call

__all__ = ["check"]


def check(call: Call, answer: Answer, _: np.random.Generator) -> str:  # noqa: PLR0911 - one a flaw
    """Check order, limit and empty slots, and the momentum itself if the host has a copy of it."""
    ids, momentum, count = (answer.values[name] for name in ("ids", "momentum", "count"))
    found, values = ids[:count], momentum[:count]
    if (ids[count:] != NO_ID).any() or (momentum[count:] != -np.inf).any():
        return f"the slots from {count} on must be empty"
    if len(np.unique(found)) != count or ((found < 0) | (found >= call.sizes["C"])).any():
        return f"ids must be different numbers from 0 to {call.sizes['C'] - 1}"
    if (values < np.float32(HOT)).any():
        return f"cluster {found[-1]} has a momentum of {values[-1]}, which is below {HOT}"
    rising = (values[1:] > values[:-1]) | ((values[1:] == values[:-1]) & (found[1:] < found[:-1]))
    if rising.any():
        return f"cluster {found[1:][rising][0]} is not in order"
    if (held := call.state().arrays.get("momentum")) is None:
        return ""
    if (wrong := np.flatnonzero(held[found] != values)).size:
        return f"the momentum of cluster {found[wrong[0]]} is {held[found[wrong[0]]]}, not {values[wrong[0]]}"
    due = min(int((held >= np.float32(HOT)).sum()), call.options["k"])
    if count != due or (count and (np.sort(held)[::-1][:count] != values).any()):
        return f"the {due} hottest clusters are not those returned"
    return ""
