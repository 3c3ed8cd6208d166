"""Form of the momentum memory on OpenCL: rows and momentum on the device, times and counts with the host."""

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ninefold.spec.data import State

from .memory import StateForm

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["fetch", "load"]

#: The host forms weights and ages in float64, which a device may not have.
_MIRRORED = ("last", "count", "version", "clock")


def load(device: "OpenClDevice", state: State) -> StateForm:
    """Copy rows and momentum to the device, and the other arrays."""
    return device.memory.load_state(state, _MIRRORED)


def fetch(device: "OpenClDevice", form: StateForm) -> dict[str, npt.NDArray[Any]]:
    """Return copies of all arrays."""
    return device.memory.fetch(form)
