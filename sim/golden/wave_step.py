"""Golden model of ``wave_step``, in complex128."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.signature import Call

__all__ = ["laplacian", "step"]

_Complex = npt.NDArray[np.complex128]


def laplacian(psi: _Complex) -> _Complex:
    """Return the sum over all axes of both neighbours less twice the cell, on a periodic lattice of spacing 1."""
    total = np.zeros_like(psi)
    for axis in range(psi.ndim):
        total += np.roll(psi, 1, axis) + np.roll(psi, -1, axis) - 2 * psi
    return total


def step(call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer a checked call: no values, and the wave after all steps, rounded once."""
    arrays = call.state().arrays
    psi, v, a = (np.asarray(arrays[name]).astype(np.complex128) for name in ("psi", "v", "a"))
    r, s = (np.asarray(arrays[name]).astype(np.float64) for name in ("r", "s"))
    dt, c0, alpha, beta = (call.options[name] for name in ("dt", "c0", "alpha", "beta"))
    sources = 0.0 if call.arguments["sources"] is None else np.asarray(call.arguments["sources"]).astype(np.complex128)
    g = alpha * (1 - r)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(call.options["steps"]):
            psi = psi + v * dt + a * dt**2 / 2
            half = v + a * dt / 2
            force = c0**2 / (1 + s) ** 2 * laplacian(psi) + beta * np.abs(psi) ** 2 * psi + sources
            v = (half + force * dt / 2) / (1 + g * dt / 2)
            a = force - g * v
        after = {name: array.astype(np.complex64) for name, array in (("psi", psi), ("v", v), ("a", a))}
    return {}, {**after, "r": arrays["r"], "s": arrays["s"]}
