"""Quadrants of phases, by signs and zeros, and harmonics of magnitudes, in NumPy."""

import numpy as np
import numpy.typing as npt

from ninefold.spec.waves import HARMONIC_THRESHOLDS, PHASES

__all__ = ["harmonic_signature", "phase_hash"]


def phase_hash(psi: npt.NDArray[np.complex64]) -> npt.NDArray[np.uint32]:
    """Return the quadrants of the nine numbers of each point, two bits each.

    Parameters
    ----------
    psi : complex64 array of shape (N, 9)
        Points without NaN.

    Returns
    -------
    uint32 array of shape (N,)
        Number d at bits 2d + 1 and 2d.
    """
    re, im = psi.real, psi.imag
    left, below = re < 0, im < 0
    fourth = ~left & below
    quadrant = (fourth | (~(re > 0) & (im > 0))).astype(np.uint32)
    quadrant |= (fourth | (left & ~(im > 0))).astype(np.uint32) << np.uint32(1)
    places = np.arange(0, 2 * PHASES, 2, dtype=np.uint32)
    found: npt.NDArray[np.uint32] = (quadrant << places).sum(axis=1, dtype=np.uint32)
    return found


def harmonic_signature(psi: npt.NDArray[np.complex64]) -> npt.NDArray[np.int8]:
    """Return the number of harmonics that the magnitude of each number reaches.

    Parameters
    ----------
    psi : complex64 array of shape (N, 9)
        Points without NaN.

    Returns
    -------
    int8 array of shape (N, 9)
        0 to 4.
    """
    square = psi.real.astype(np.float64) ** 2 + psi.imag.astype(np.float64) ** 2
    found = np.zeros(psi.shape, np.int8)
    for threshold in HARMONIC_THRESHOLDS:
        found += square >= threshold
    return found
