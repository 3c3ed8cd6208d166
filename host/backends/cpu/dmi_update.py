"""``dmi_update`` on the CPU, in place."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ninefold.numerics.momentum import cosine, mixed, next_times, weights
from ninefold.spec.data import Answer, Kept
from ninefold.spec.momentum import DECAY, check_clock
from ninefold.spec.signature import Call

from .momentum import Form, fetch, load

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "fetch", "load", "step"]

RATING = 6


def step(device: "CpuDevice", call: Call) -> Answer:
    """Make all updates."""
    state, kernel = call.state(), device.engine.kernel
    clusters, vectors, times = (np.ascontiguousarray(call.arguments[n]) for n in ("clusters", "vectors", "times"))
    with device.timed() as metrics:
        form = device.residents.form(state, load)
        if len(times):
            check_clock(float(times[0]), float(form.arrays["clock"][0]))
            if kernel is not None:
                kernel("dmi_update", form.address, clusters, vectors, times, len(times))
            else:
                _by_numpy(form, clusters, vectors, times)
    path = "numpy" if kernel is None else device.path
    return Answer({}, path, metrics, Kept(state.id, state.version + 1))


def _by_numpy(
    form: Form, clusters: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32], times: npt.NDArray[np.float64]
) -> None:
    rows, momentum = form.arrays["rows"], form.arrays["momentum"]
    found = weights(clusters, times, form.arrays["last"], form.arrays["count"])
    for cluster, vector, weight in zip(clusters, vectors, found, strict=True):
        rows[cluster] = row = mixed(rows[cluster], vector, weight)
        momentum[cluster] = DECAY * float(momentum[cluster]) + (1 - DECAY) * cosine(vector, row)
    next_times(clusters, times, form.arrays)
