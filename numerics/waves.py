"""Factors of ``wave_step`` that stay the same in all steps of a call."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["wave_damping", "wave_speeds"]


def wave_speeds(s: npt.NDArray[np.float32], c0: float) -> npt.NDArray[np.float32]:
    """Return c0^2 / (1 + s)^2, float32 of the shape of the stiffness s."""
    speeds: npt.NDArray[np.float32] = (c0**2 / (1 + s.astype(np.float64)) ** 2).astype(np.float32)
    return speeds


def wave_damping(r: npt.NDArray[np.float32], alpha: float, dt: float) -> npt.NDArray[np.float32] | None:
    """Return g dt / 2, g = alpha (1 - r), float32 of the shape of the memory r; None without damping (alpha = 0)."""
    if not alpha:
        return None
    damping: npt.NDArray[np.float32] = (alpha * dt / 2 * (1 - r.astype(np.float64))).astype(np.float32)
    return damping
