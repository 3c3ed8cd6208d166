"""``dmi_hot`` on the CPU."""

from typing import TYPE_CHECKING

from ninefold.numerics.momentum import hot
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .momentum import fetch, load

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "fetch", "load", "run"]

RATING = 6


def run(device: "CpuDevice", call: Call) -> Answer:
    """Sort the hot clusters."""
    with device.timed() as metrics:
        values = hot(device.residents.form(call.state(), load).arrays["momentum"], call.options["k"])
    return Answer(values, "numpy", metrics)
