"""Vectors of the UART receiver, shared with the transmitter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ninefold.sim.cores.uart_transmitter.vectors import UartCase
from ninefold.sim.levels.case import Case

__all__ = ["case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return UartCase("uart_receiver", parameters, seed).case(vectors, steps)
