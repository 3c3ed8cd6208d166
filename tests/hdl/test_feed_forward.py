"""Cores that compute a function of each element: documented latencies, refused parameters, constants."""

from __future__ import annotations

from typing import Any

import pytest

from ninefold.hdl.cores.phase_hash import PhaseHash
from ninefold.spec.errors import InputError

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.mark.parametrize(
    ("core", "latency"),
    [
        (PhaseHash(9, 32), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_latencies(core: Any, latency: int) -> None:
    assert (core.latency, core.capacity) == (latency, latency + 1)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: PhaseHash(33, 8), "dimensions must be an integer from 1 to 32, not 33"),
        (lambda: PhaseHash(9, 1), "width must be an integer from 2 to 64, not 1"),
    ],
)
def test_refusals(made: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}$"):
        made()
