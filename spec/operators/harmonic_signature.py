"""``harmonic_signature``: magnitudes of nine complex numbers on a scale of harmonics."""

from ..signature import Operator, Tensor
from ..waves import HARMONIC_THRESHOLDS, PHASES

__all__ = ["OPERATOR"]

#: The number of `HARMONIC_THRESHOLDS`, (e^(n/2) - 1)^2 for n from 1 to 4, that re^2 + im^2 reaches (>=). The squares of
#: float32 numbers are exact in float64, so only their sum is rounded, once.
OPERATOR = Operator(
    name="harmonic_signature",
    summary="Count the harmonics that the magnitude of each number of a point reaches.",
    arguments=(Tensor("psi", ("N", PHASES), ("complex64",), doc="points"),),
    results=(
        Tensor("signature", ("N", PHASES), ("int8",), 0, len(HARMONIC_THRESHOLDS), doc="harmonics of each number"),
    ),
    rows="N",
    family="wave",
)
