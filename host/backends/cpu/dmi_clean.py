"""``dmi_clean`` on the CPU, in place."""

from typing import TYPE_CHECKING

from ninefold.numerics.momentum import cleaning
from ninefold.spec.data import Answer, Kept
from ninefold.spec.signature import Call

from .momentum import fetch, load

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "fetch", "load", "step"]

RATING = 6


def step(device: "CpuDevice", call: Call) -> Answer:
    """Reduce the momentum of old clusters, and replace the rows of those that have none left."""
    state = call.state()
    with device.timed() as metrics:
        form = device.residents.form(state, load)
        arrays = form.arrays
        change = cleaning(call, form.seed, arrays["momentum"], arrays)
        arrays["momentum"][:] = change.momentum
        arrays["rows"][change.reset] = change.rows
        change.apply(arrays)
    return Answer({}, "numpy", metrics, Kept(state.id, state.version + 1))
