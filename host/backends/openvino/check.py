"""Known-answer test that a device computes exactly, run before its answers are used.

OpenVINO may compute in float16 or int8 if a device has nothing better or treats the settings as hints.
"""

from typing import TYPE_CHECKING

import numpy as np

from ninefold.host.openvino_runtime import Product
from ninefold.numerics.nits import pack
from ninefold.spec.errors import DeviceError

from .quantise import quantise
from .topk import topk

if TYPE_CHECKING:
    from .device import OpenVinoDevice

__all__ = ["inexact"]

#: (Scale, numbers, nits in mode linear), for ties to even, saturation and a subnormal factor.
_QUANTISED = (
    (1.0, [0.5, -0.5, 2049 / 4096, 2048.5 / 4096, 2049.5 / 4096, np.inf, -np.inf], [0, 0, 1, 0, 1, 4, -4]),
    (3e38, [1.17e-38, -1.17e-38, 1e-45], [4, -4, 0]),
)
_LARGE, _SMALL = 2**31 - 1, -(2**31)
#: Scores that shorter formats cannot tell apart, and the columns of the best five.
_SELECTED = (
    (np.int32, [_SMALL, _LARGE - 1, _SMALL + 1, _LARGE, _LARGE - 1, 0, 1], [3, 1, 4, 6, 5]),
    (np.float32, [0.0, 1 + 2**-23, -np.inf, 1.0, 1 + 2**-23, -1.0, 1e-45], [1, 4, 3, 6, 0]),
)


def inexact(device: "OpenVinoDevice") -> str:
    """Return the first error of a device in words, or an empty string if it is exact."""
    try:
        return _quantised(device) or _scored(device) or _selected(device)
    except DeviceError as error:
        return str(error)


def _quantised(device: "OpenVinoDevice") -> str:
    for scale, x, wanted in _QUANTISED:
        found = quantise(device, np.array([x], np.float32), scale, "linear")[0].tolist()
        if found != wanted:
            return f"it quantises {x} times {scale} to {found}, not {wanted}"
    return ""


def _scored(device: "OpenVinoDevice") -> str:
    """Compare the largest possible sums, and odd sums that need all 17 bits."""
    rows = np.full((64, 4096), 4, np.int8)
    rows[np.arange(64), np.arange(64)] = np.arange(64) % 9 - 4
    rows[1::2] *= -1
    queries = np.concatenate([rows[:3], np.random.default_rng(9).integers(-4, 5, (5, 4096), np.int8)])
    wanted = queries.astype(np.int64) @ rows.T.astype(np.int64)
    product = Product(device.target, pack(rows))
    found = product.scores(queries.astype(np.float32), np.empty(wanted.size, np.float32))
    wrong = np.argwhere(found != wanted)
    if len(wrong):
        at = tuple(wrong[0].tolist())
        return f"it scores a product of 4,096 dimensions {found[at]:.0f}, not {wanted[at]} ({len(wrong)} of 512 differ)"
    return ""


def _selected(device: "OpenVinoDevice") -> str:
    for dtype, scores, wanted in _SELECTED:
        found = topk(device, np.array([scores], dtype), len(wanted))[0][0].tolist()
        if found != wanted:
            return f"it ranks {scores} {found}, not {wanted}"
    return ""
