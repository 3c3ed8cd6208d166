"""State-space models that do not grow too fast."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError

__all__ = ["RADIUS_MAX", "stabilise"]

#: Largest spectral radius that `stabilise` leaves.
RADIUS_MAX = 10.0


def stabilise(a: npt.ArrayLike, step: float) -> tuple[npt.NDArray[Any], float]:
    """Limit the growth of a state-space model before ``ssm_scan``.

    Parameters
    ----------
    a : array of shape (S, S)
        Factor of the state, real or complex and finite.
    step : float
        Size of a step, finite and above 0.

    Returns
    -------
    array of shape (S, S)
        `a` if its spectral radius is at most `RADIUS_MAX`, else `a` times a factor that gives it this radius; of the
        dtype of `a`.
    float
        The smaller of `step` and 0.5 / (rho + 1e-6), with rho the spectral radius of the first result.

    Raises
    ------
    InputError
        `a` is not a square matrix of finite numbers, or `step` is not finite and above 0.
    """
    matrix = np.asarray(a)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise InputError(f"a must be a square matrix with at least one row, not of shape {matrix.shape}")
    if matrix.dtype.kind not in "fc":
        raise InputError(f"a must hold floats or complex numbers, not {matrix.dtype}")
    if not np.isfinite(matrix).all():
        raise InputError("a must be finite")
    if not 0 < step < float("inf"):
        raise InputError(f"step must be finite and above 0, not {step!r}")
    # Eigenvalues of a matrix scaled to 1 neither overflow nor vanish.
    wide = matrix.astype(np.complex128 if matrix.dtype.kind == "c" else np.float64)
    largest = float(np.abs(wide).max()) or 1.0
    rho = float(np.abs(np.linalg.eigvals(wide / largest)).max()) * largest
    if rho > RADIUS_MAX:
        matrix, rho = (wide * (RADIUS_MAX / rho)).astype(matrix.dtype), RADIUS_MAX
    return matrix, min(float(step), 0.5 / (rho + 1e-6))
