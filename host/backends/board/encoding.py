"""Queries in the format that a board accepts, quantised on the board or on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.drivers.protocol import Identity
from ninefold.drivers.queries import query_fits
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import grid, quantise
from ninefold.spec.link import FORMAT_GRID, FORMAT_PACKED
from ninefold.spec.signature import Call

if TYPE_CHECKING:
    from .device import BoardDevice

__all__ = ["encoded"]


def encoded(device: BoardDevice, call: Call, identity: Identity) -> tuple[npt.NDArray[Any], str]:
    """Return the queries of a call for a board, and the end of the answer's path, which tells who quantised them.

    A simulated board serves verification, so it quantises the queries itself, unless grid values and a mask exceed a
    request. Over a real link nits take a quarter of the bytes, so the host quantises if the board accepts nits.

    Returns
    -------
    queries : int16 array of shape (Q, D) or uint8 array of shape (Q, ceil(D / 2))
        Grid values or packed nits.
    how : str
        Words to append to the device's path.
    """
    attributes, q = call.database().attributes, np.asarray(call.arguments["q"])
    scale, mode = float(attributes["scale"]), attributes["mode"]
    # A miner gets no mask: the host applies it to what the board returns.
    masked = call.arguments["allowed"] is not None and identity.design == "signs"
    mask_bytes = (min(identity.depth, call.sizes["N"]) + 7) // 8 if masked else 0
    fits = device.simulated and query_fits(identity, FORMAT_GRID, mask_bytes)
    if fits or FORMAT_PACKED not in identity.formats:
        return grid(q, scale), ""
    return pack(quantise(q, scale, mode)), ", queries quantised on the host"  # type: ignore[arg-type]
