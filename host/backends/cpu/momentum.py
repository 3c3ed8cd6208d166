"""Form of the momentum memory on the CPU: arrays that steps change in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import State
from ninefold.spec.momentum import DECAY, FADE_S, WEIGHT

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["Form", "fetch", "load"]


@dataclass(frozen=True)
class Form:
    """Memory of one state.

    Attributes
    ----------
    seed : int
        Seed of new rows.
    arrays : dict of str to array
        C-contiguous arrays of the state, by name.
    table : int64 array (9,)
        Addresses of the arrays and constants, as the structure ``Memory`` of ``dmi_update.cpp``. Passing one pointer
        takes less time than passing five.
    address : int
        Address of the table.
    """

    seed: int
    arrays: dict[str, npt.NDArray[Any]]
    table: npt.NDArray[np.int64]
    address: int


def load(_: CpuDevice, state: State) -> Form:
    """Copy a memory."""
    arrays = {name: np.array(array, order="C") for name, array in state.arrays.items()}
    table = np.zeros(9, np.int64)
    for at, name in enumerate(("rows", "momentum", "last", "count", "clock")):
        table[at] = arrays[name].ctypes.data
    table[5] = arrays["rows"].shape[1]
    table[6:].view(np.float64)[:] = WEIGHT, FADE_S, DECAY
    return Form(int(state.attributes["seed"]), arrays, table, table.ctypes.data)


def fetch(_: CpuDevice, form: Form) -> dict[str, npt.NDArray[Any]]:
    """Return copies of all arrays."""
    return {name: array.copy() for name, array in form.arrays.items()}
