"""Numbers of the wave family: sizes of points and curves, thresholds of harmonics."""

from typing import Final

__all__ = ["HARMONIC_THRESHOLDS", "INDEX_BITS", "PHASES"]

#: Complex numbers of a point whose phases are hashed.
PHASES: Final = 9
#: Maximum number of bits of an index along a Hilbert curve: the number of dimensions times the bits of a coordinate.
INDEX_BITS: Final = 64
#: Squared magnitudes at which a harmonic begins: the nearest float64 numbers to (e^(n/2) - 1)^2 for n from 1 to 4.
HARMONIC_THRESHOLDS: Final = tuple(
    map(float.fromhex, ("0x1.aef07e7b2866cp-2", "0x1.79eb45b810c89p+1", "0x1.83e8b988f9ccbp+3", "0x1.468f6fff202edp+5"))
)
