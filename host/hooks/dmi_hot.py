"""Spot check of ``dmi_hot``."""

from typing import Any

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import NO_ID
from ninefold.spec.momentum import HOT
from ninefold.spec.signature import Call

__all__ = ["check", "list_flaw"]


def check(call: Call, answer: Answer, _: np.random.Generator) -> str:
    """Check order, limit and empty slots, and the momentum itself if the host has a copy of it."""
    return list_flaw(call, answer, "momentum", np.float32(HOT), -np.inf)


def list_flaw(call: Call, answer: Answer, name: str, low: Any, empty: Any) -> str:  # noqa: PLR0911 - one a flaw
    """Return what is wrong with a list of hot clusters, or an empty string.

    Parameters
    ----------
    call, answer : Call, Answer
        The call, and a device's answer.
    name : str
        Name of the values in the answer and in the state.
    low : number
        Smallest value of a hot cluster.
    empty : number
        Value of empty slots.
    """
    ids, values, count = (answer.values[one] for one in ("ids", name, "count"))
    found, rest, values = ids[:count], values[count:], values[:count]
    if (ids[count:] != NO_ID).any() or (rest != empty).any():
        return f"the slots from {count} on must be empty"
    if len(np.unique(found)) != count or ((found < 0) | (found >= call.sizes["C"])).any():
        return f"ids must be different numbers from 0 to {call.sizes['C'] - 1}"
    if (values < low).any():
        return f"cluster {found[-1]} has a {name} of {values[-1]}, which is below {low}"
    rising = (values[1:] > values[:-1]) | ((values[1:] == values[:-1]) & (found[1:] < found[:-1]))
    if rising.any():
        return f"cluster {found[1:][rising][0]} is not in order"
    if (held := call.state().arrays.get(name)) is None:
        return ""
    if (wrong := np.flatnonzero(held[found] != values)).size:
        return f"the {name} of cluster {found[wrong[0]]} is {held[found[wrong[0]]]}, not {values[wrong[0]]}"
    due = min(int((held >= low).sum()), call.options["k"])
    if count != due or (count and (np.sort(held)[::-1][:count] != values).any()):
        return f"the {due} hottest clusters are not those returned"
    return ""
