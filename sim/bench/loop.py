"""Bare C++ loop around a verilated core, the peer of simulation from Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.verilated import Design, find_tools
from ninefold.sim.verilated.build import optimised
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.progress import step

__all__ = ["bare_loop"]

_SOURCE = Path(__file__).with_name("loop.cpp")

#: Function of packed beats and the number of results; returns the packed results and the cycles.
Loop = Callable[[npt.NDArray[np.uint8], int], tuple[npt.NDArray[np.uint8], int]]


def bare_loop(design: Design, result_bytes: int) -> Loop:
    """Compile the loop around the same Verilog, with the same options as the fast model.

    Parameters
    ----------
    design : Design
        Core with one input stream and one output stream.
    result_bytes : int
        Bytes of a beat of the output stream.

    Returns
    -------
    callable
        ``loop(beats, wanted)`` sends uint8 beats of shape (count, beat_bytes) to the core after a reset. It
        returns the first `wanted` results, uint8 of shape (wanted, result_bytes), and the cycles.

    Raises
    ------
    UnavailableError
        Verilator or a C++ compiler is missing.
    ToolError
        Verilator or the compiler fails.
    """
    tools = find_tools()
    compilation = replace(optimised(design, tools), main=_SOURCE.read_text())

    def make(folder: Path) -> None:
        source = folder / "top.v"
        source.write_text(design.verilog)
        with step("compiling a bare loop around a model"):
            compilation.build(tools, [source], folder / "loop.so")

    entry = BuildCache("bare-loop").get(digest_of(design.verilog, compilation.digest(tools)), make)
    library: Any = ctypes.CDLL(str(entry / "loop.so"))
    library.ninefold_loop.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64]
    library.ninefold_loop.restype = ctypes.c_uint64

    def loop(beats: npt.NDArray[np.uint8], wanted: int) -> tuple[npt.NDArray[np.uint8], int]:
        results = np.zeros((wanted, result_bytes), np.uint8)
        cycles = library.ninefold_loop(beats.ctypes.data, len(beats), results.ctypes.data, wanted)
        return results, int(cycles)

    return loop
