"""Momentum in membranes of the Loihi chip: its fixed-point numbers, and the content of its states."""

from __future__ import annotations

from typing import Final

from .layouts import Layout
from .tensors import Tensor

__all__ = [
    "COSINE_ONE",
    "FRACTION_BITS",
    "HOT_VOLTAGE",
    "LEAK",
    "LEAK_BITS",
    "MEMBRANES",
    "VOLTAGE_ONE",
    "WEIGHT_UNIT",
]

#: A membrane of voltage v has the momentum v / 2**22. Voltages of the chip have 23 bits and a sign.
FRACTION_BITS: Final = 22
VOLTAGE_ONE: Final = 1 << FRACTION_BITS
#: With each update, abs(v) becomes floor(abs(v) (4096 - 410) / 4096): 410 is the decay of 12 bits nearest to 0.1.
LEAK: Final = 410
LEAK_BITS: Final = 12
#: A weight of 1 moves a membrane by 64.
WEIGHT_UNIT: Final = 64
#: Weight that a cosine of 1 adds: it holds a membrane at `VOLTAGE_ONE`, since 64 * 6560 = 2**22 * 410 / 4096.
COSINE_ONE: Final = VOLTAGE_ONE * LEAK // (WEIGHT_UNIT << LEAK_BITS)
#: Smallest voltage of a momentum of 0.1 or more.
HOT_VOLTAGE: Final = -(-VOLTAGE_ONE // 10)

#: Membrane c belongs to cluster c.
MEMBRANES: Final = Layout(
    "membranes",
    fields=(
        Tensor("voltage", ("C",), ("int32",), -VOLTAGE_ONE, VOLTAGE_ONE, doc="momentum of each cluster times 2**22"),
    ),
)
