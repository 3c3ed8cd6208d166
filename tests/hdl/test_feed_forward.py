"""Cores that compute a function of each element: documented latencies, refused parameters, constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ninefold.hdl.cores.hilbert_decoder import HilbertDecoder
from ninefold.hdl.cores.hilbert_encoder import HilbertEncoder
from ninefold.hdl.cores.phase_hash import PhaseHash
from ninefold.hdl.cores.superpose import Superpose, least_magnitude
from ninefold.spec.errors import InputError
from ninefold.spec.formats import THRESHOLDS

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.mark.parametrize(
    ("core", "latency"),
    [
        (HilbertEncoder(9, 7), 18),
        (HilbertEncoder(64, 1), 4),
        (HilbertDecoder(9, 7), 17),
        (HilbertDecoder(1, 64), 19),
        (PhaseHash(9, 32), 5),
        (Superpose(8, 23), 12),
    ],
    ids=lambda value: type(value).__name__,
)
def test_latencies(core: Any, latency: int) -> None:
    assert (core.latency, core.capacity) == (latency, latency + 1)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: HilbertEncoder(9, 8), r"dimensions \* bits must be at most 64, not 9 \* 8"),
        (lambda: HilbertDecoder(65, 1), "dimensions must be an integer from 1 to 64, not 65"),
        (lambda: HilbertDecoder(2, 0), "bits must be an integer from 1 to 64, not 0"),
        (lambda: PhaseHash(33, 8), "dimensions must be an integer from 1 to 32, not 33"),
        (lambda: PhaseHash(9, 1), "width must be an integer from 2 to 64, not 1"),
        (lambda: Superpose(2, 3), "exponent must be an integer from 3 to 11, not 2"),
        (lambda: Superpose(8, 53), "fraction must be an integer from 2 to 52, not 53"),
    ],
)
def test_refusals(made: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}$"):
        made()


@pytest.mark.parametrize(
    ("sizes", "floats", "bits"),
    [((5, 10), np.float16, np.uint16), ((8, 23), np.float32, np.uint32), ((11, 52), np.float64, np.uint64)],
)
def test_the_least_magnitude_of_a_nit_reaches_it_and_the_one_before_does_not(
    sizes: tuple[int, int], floats: Any, bits: Any
) -> None:
    for reached in THRESHOLDS["linear"].reached_at:
        least = least_magnitude(reached, *sizes)
        here, before = np.array([least, least - 1], bits).view(floats).astype(np.float64)
        # The product with a power of two is exact, and rint rounds halves to even.
        assert np.rint(here * 4096) >= reached > np.rint(before * 4096)


def test_a_nit_beyond_a_format_begins_at_infinity() -> None:
    assert least_magnitude(2 << 20, 3, 2) == 7 << 2
