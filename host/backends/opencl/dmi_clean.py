"""``dmi_clean`` on OpenCL: the host decides from the momentum, and writes new rows."""

from typing import TYPE_CHECKING

from ninefold.numerics.momentum import cleaning
from ninefold.spec.data import Answer, Kept
from ninefold.spec.signature import Call

from .momentum import fetch, load

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "fetch", "load", "step"]

RATING = {"gpu": 8, "npu": 5, "cpu": 3}


def step(device: "OpenClDevice", call: Call) -> Answer:
    """Reduce the momentum of old clusters, and replace the rows of those that have none left."""
    state = call.state()
    with device.timed() as metrics:
        form = device.residents.form(state, load)
        momentum = device.memory.fetch_array(form, "momentum")
        change = cleaning(call, int(form.attributes["seed"]), momentum, form.mirrors)
        device.memory.replace_rows(form, "momentum", 0, change.momentum)
        for cluster, row in zip(change.reset.tolist(), change.rows, strict=True):
            device.memory.replace_rows(form, "rows", cluster, row)
        change.apply(form.mirrors)
    return Answer({}, f"float32 on {device.entry.name}", metrics, Kept(state.id, state.version + 1))
