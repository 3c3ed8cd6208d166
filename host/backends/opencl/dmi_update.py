"""``dmi_update`` on OpenCL, in place: one launch a batch."""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.numerics.momentum import next_times, weights
from ninefold.spec.data import Answer, Kept
from ninefold.spec.momentum import check_clock
from ninefold.spec.signature import Call

from .memory import StateForm
from .momentum import fetch, load

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["RATING", "fetch", "load", "step"]

RATING = {"gpu": 8, "npu": 5, "cpu": 3}
#: Work-items of a work-group, unless the device allows fewer; on a processor one, which computes with vectors.
_LANES = 32


def step(device: "OpenClDevice", call: Call) -> Answer:
    """Make all updates."""
    state = call.state()
    with device.timed() as metrics:
        form = device.residents.form(state, load)
        if call.sizes["B"]:
            _update(device, call, form)
    return Answer({}, f"float32 on {device.entry.name}", metrics, Kept(state.id, state.version + 1))


def _update(device: "OpenClDevice", call: Call, form: StateForm) -> None:
    clusters, times = (np.asarray(call.arguments[name]) for name in ("clusters", "times"))
    check_clock(float(times[0]), float(form.mirrors["clock"][0]))
    order = np.argsort(clusters, kind="stable").astype(np.int32)
    touched, starts = np.unique(clusters[order], return_index=True)
    lanes = (
        1
        if device.entry.kind == "cpu"
        else min(_LANES, 1 << (device.entry.device.max_work_group_size.bit_length() - 1))
    )
    device.launcher.launch(
        device.launcher.kernel(("dmi_update.cl",), "dmi_update", LANES=lanes),
        (len(touched) * lanes,),
        (lanes,),
        form.buffers["rows"],
        form.buffers["momentum"],
        touched.astype(np.int32),
        np.append(starts, len(order)).astype(np.int32),
        order,
        np.asarray(call.arguments["vectors"]),
        weights(clusters, times, form.mirrors["last"], form.mirrors["count"]),
        np.int32(call.sizes["D"]),
    )
    next_times(clusters, times, form.mirrors)
