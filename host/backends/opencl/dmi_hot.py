"""``dmi_hot`` on OpenCL: the host sorts the momentum, of which there are four bytes a cluster."""

from typing import TYPE_CHECKING

from ninefold.numerics.momentum import hot
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .momentum import fetch, load

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "fetch", "load", "run"]

RATING = {"gpu": 8, "npu": 5, "cpu": 3}


def run(device: "OpenClDevice", call: Call) -> Answer:
    """Read the momentum and sort it."""
    with device.timed() as metrics:
        form = device.residents.form(call.state(), load)
        values = hot(device.memory.fetch_array(form, "momentum"), call.options["k"])
    return Answer(values, f"float32 on {device.entry.name}", metrics)
