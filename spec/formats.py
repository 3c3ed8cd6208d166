"""Number formats: nits, trit pairs, packed nits, the quantiser's grid and its thresholds.

Constants only. Every backend implements the arithmetic in its own way; the golden models in ``ninefold.sim.golden``
judge the results.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

__all__ = [
    "CALIBRATION",
    "CANDIDATES_MAX",
    "DIMENSIONS_MAX",
    "GRID_FRACTION_BITS",
    "GRID_MAX",
    "GRID_MIN",
    "INT32_MIN",
    "K_MAX",
    "MACRO_CLUSTERS",
    "MICRO_CLUSTERS",
    "MODES",
    "NIT_BITS",
    "NIT_MAX",
    "NIT_MIN",
    "NO_ID",
    "RECIPROCAL_BITS",
    "SCANS",
    "THRESHOLDS",
    "TRITS",
    "Calibration",
    "Mode",
    "Scan",
    "Thresholds",
    "coarse_bits",
    "score_bits",
]

NIT_MIN: Final = -4
NIT_MAX: Final = 4
#: A packed nit ("Q9_0") is a two's complement nibble. A byte holds two, element 0 in the low half; an odd count is
#: padded with 0.
NIT_BITS: Final = 4

#: nit -> (t1, t0) with nit = 3*t1 + t0 and both trits in -1..1; the representation is unique.
TRITS: Final = MappingProxyType({3 * t1 + t0: (t1, t0) for t1 in (-1, 0, 1) for t0 in (-1, 0, 1)})

DIMENSIONS_MAX: Final = 4096
K_MAX: Final = 256
INT32_MIN: Final = -(2**31)
#: Id of an empty result slot; its score is INT32_MIN.
NO_ID: Final = -1

#: The grid: signed 16 bits, of which 12 are fraction; g = clip(round_half_even(4096 * float32(x) * float32(scale))).
GRID_FRACTION_BITS: Final = 12
GRID_MIN: Final = -(2**15)
GRID_MAX: Final = 2**15 - 1

#: ``normalised`` similarity: recip = (isqrt(2**34 // n) + 1) >> 1, then (score * recip) >> 8.
RECIPROCAL_BITS: Final = 34

#: Clusters of a clustered database, and clusters within each of them.
MACRO_CLUSTERS: Final = 64
MICRO_CLUSTERS: Final = 16
#: Rows that the scan of the sign plane may keep for a query.
CANDIDATES_MAX: Final = 8192

#: Parts of a row that the first stage of a search reads: all nits, or only their signs.
Scan = Literal["nits", "signs"]
SCANS: Final[tuple[Scan, ...]] = get_args(Scan)

Mode = Literal["tanh", "linear"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)


@dataclass(frozen=True)
class Thresholds:
    """Magnitudes of a grid value at which the nit changes.

    Attributes
    ----------
    values : tuple of 4 int
        Ascending magnitudes.
    inclusive : bool
        True when a magnitude that equals a threshold has reached it (``>=``), False when it must exceed it (``>``).
    """

    values: tuple[int, int, int, int]
    inclusive: bool

    @property
    def reached_at(self) -> tuple[int, int, int, int]:
        """Smallest magnitude that reaches each threshold, so that all comparisons are ``>=``."""
        a, b, c, d = self.values if self.inclusive else (v + 1 for v in self.values)
        return a, b, c, d


#: ``tanh``: the smallest grid values at or above 4096 * atanh((2n-1)/8). ``linear``: 4096 * (n - 1/2),
#: ties toward zero.
THRESHOLDS: Final = MappingProxyType[Mode, Thresholds](
    {
        "tanh": Thresholds((515, 1615, 3004, 5547), inclusive=True),
        "linear": Thresholds((2048, 6144, 10240, 14336), inclusive=False),
    }
)


@dataclass(frozen=True)
class Calibration:
    """Fixed procedure of ``calibrate``.

    Attributes
    ----------
    rows : int
        Number of rows that are searched; all, if the sample has fewer.
    k : int
        ``calibrate`` maximises recall@k.
    seed : int
        The rows are ``sorted(numpy.random.default_rng(seed).choice(N, rows, replace=False))``.
    multiples : mapping of mode to tuple of float
        Candidate scales are c / sigma for each c, in this order; the first of the best wins.
    """

    rows: int
    k: int
    seed: int
    multiples: MappingProxyType[Mode, tuple[float, ...]]


CALIBRATION: Final = Calibration(
    rows=200,
    k=10,
    seed=9,
    multiples=MappingProxyType(
        {
            "tanh": tuple(c / 10 for c in range(3, 9)),
            "linear": tuple(c / 10 for c in range(12, 23)),
        }
    ),
)


def coarse_bits(dimensions: int) -> int:
    """Return the width of a coarse score on the fabric.

    Parameters
    ----------
    dimensions : int
        1 to ``DIMENSIONS_MAX``.

    Returns
    -------
    int
        Number of bits, two's complement, that hold every score; magnitudes are at most 4 * dimensions.
    """
    return 1 + (4 * dimensions).bit_length()


def score_bits(dimensions: int) -> int:
    """Return the width of a similarity score on the fabric.

    Parameters
    ----------
    dimensions : int
        1 to ``DIMENSIONS_MAX``.

    Returns
    -------
    int
        Number of bits, two's complement, that hold every score; magnitudes are at most 16 * dimensions.
    """
    return 1 + (16 * dimensions).bit_length()
