"""Random and edge payloads for the inputs of a core."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.payloads import Column
from ninefold.sim.own.contract import Batch, Contract

__all__ = ["draw"]

#: Shares of payloads: all integers at one edge, integers at edges of their own, any.
_KINDS: Final = (0.2, 0.2, 0.6)
#: Maximum payloads of a packet, and share of packets of one payload.
_PACKET: Final = 12
_SHORT: Final = 0.25


def draw(contract: Contract, random: np.random.Generator, count: int, *, edges: bool = False) -> dict[str, Batch]:
    """Return payloads for each input, with whole packets.

    Parameters
    ----------
    contract : Contract
        The core.
    random : numpy.random.Generator
        Source of the payloads.
    count : int
        Payloads of each input; a few more to end the last packet.
    edges : bool
        Only payloads with integers at the edges of their range.
    """
    last = _packets(random, count) if contract.packets else None
    number = count if last is None else len(last)
    found: dict[str, Batch] = {}
    for channel in contract.inputs:
        kinds = random.choice(3, number, p=(0.5, 0.5, 0.0) if edges else _KINDS)
        columns = {column.name: _column(random, column, kinds) for column in channel.columns}
        found[channel.name] = Batch(columns, last if channel.packets else None)
    return found


def _packets(random: np.random.Generator, count: int) -> npt.NDArray[np.bool_]:
    last = np.zeros(0, bool)
    while len(last) < count:
        size = 1 if random.random() < _SHORT else int(random.integers(2, _PACKET, endpoint=True))
        last = np.concatenate([last, np.arange(size) == size - 1])
    return last


def _column(random: np.random.Generator, column: Column, kinds: npt.NDArray[Any]) -> npt.NDArray[Any]:
    shape = (len(kinds), *column.shape)
    any_ = random.integers(column.low, column.high, shape, column.dtype, endpoint=True)
    alternating = [sum(1 << bit for bit in range(start, column.bits - column.signed, 2)) for start in (0, 1)]
    edges = sorted({column.low, column.high, 0, min(1, column.high), max(-1, column.low), *alternating})
    own = np.array(edges, column.dtype)[random.integers(0, len(edges), shape)]
    one = np.array(edges, column.dtype)[random.integers(0, len(edges), len(kinds))]
    kinds = kinds.reshape(-1, *(1 for _ in column.shape))
    whole = np.broadcast_to(one.reshape(kinds.shape), shape)
    return np.where(kinds == 0, whole, np.where(kinds == 1, own, any_)).astype(column.dtype)
