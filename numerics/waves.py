"""Factors of ``wave_step`` that stay the same in all steps of a call."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.signature import Call

__all__ = ["wave_damping", "wave_factors"]

_Array = npt.NDArray[Any]


def wave_factors(call: Call) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None, _Array | None]:
    """Return c0^2 / (1 + s)^2 and g dt / 2, float32, and the sources, complex64, each of the lattice's shape.

    None stands for zeros: the second without damping (alpha = 0), the third without sources.
    """
    s, sources = np.asarray(call.state().arrays["s"]), call.arguments["sources"]
    speed = (call.options["c0"] ** 2 / (1 + s.astype(np.float64)) ** 2).astype(np.float32)
    return speed, wave_damping(call), None if sources is None else np.ascontiguousarray(sources)


def wave_damping(call: Call) -> npt.NDArray[np.float32] | None:
    """Return g dt / 2, float32 of the lattice's shape; None without damping (alpha = 0)."""
    options = call.options
    if not options["alpha"]:
        return None
    r = np.asarray(call.state().arrays["r"]).astype(np.float64)
    damping: npt.NDArray[np.float32] = (options["alpha"] * options["dt"] / 2 * (1 - r)).astype(np.float32)
    return damping
