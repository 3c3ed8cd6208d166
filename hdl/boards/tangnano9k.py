"""Tang Nano 9K: GW1NR-9C, UART on its USB chip."""

from math import ceil
from typing import Any

from amaranth.hdl import Const, Instance, Module, Shape, Signal
from amaranth.lib import io
from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from ninefold.hdl.boards.board import FpgaBoard

__all__ = ["BOARD", "in_block_ram"]

#: Words and bits of a LUT RAM, and bits of a word of block RAM.
_LUT_WORDS, _LUT_BITS, _BLOCK_BITS = 16, 4, 32
#: LUT RAMs that a block RAM must replace. nextpnr places a LUT RAM and its eight LUTs as a whole, in 6 of 26 rows of
#: tiles, and finds no place for 200 of them once other logic is there.
_WORTH = 16
#: Words for which flip-flops are smaller than LUT RAM.
_FEW = 4


def in_block_ram(depth: int, width: int) -> bool:
    """Return whether a memory of `depth` words of `width` bits is in block RAM, not in LUT RAM."""
    return ceil(depth / _LUT_WORDS) * ceil(width / _LUT_BITS) > _WORTH * ceil(width / _BLOCK_BITS)


class _Platform(TangNano9kPlatform):
    """Tang Nano 9K platform that puts small memories into LUTs."""

    def get_memory(self, memory: Any) -> Any:
        """Return the elaboration of a memory, with an attribute that selects LUT RAM or block RAM."""
        if not memory.write_ports or memory.depth <= _FEW:
            memory.attrs["ram_style"] = "logic"
        else:
            block = in_block_ram(memory.depth, Shape.cast(memory.shape).width)
            memory.attrs["ram_style"] = "block" if block else "distributed"
        return memory.elaborate(None)


def _pll(m: Module, port: Any, clock: Signal, locked: Signal) -> None:
    """Add the PLL: 27 MHz / 9 x 16 = 48 MHz, with the oscillator at 768 MHz."""
    m.submodules.pad = pad = io.Buffer("i", port)
    m.submodules.pll = Instance(
        "rPLL",
        p_DEVICE="GW1NR-9C",
        p_FCLKIN="27",
        p_IDIV_SEL=8,
        p_FBDIV_SEL=15,
        p_ODIV_SEL=16,
        p_DYN_IDIV_SEL="false",
        p_DYN_FBDIV_SEL="false",
        p_DYN_ODIV_SEL="false",
        p_DYN_DA_EN="false",
        p_PSDA_SEL="0000",
        p_DUTYDA_SEL="1000",
        p_CLKFB_SEL="internal",
        p_CLKOUT_BYPASS="false",
        i_CLKIN=pad.i,
        i_CLKFB=0,
        i_RESET=0,
        i_RESET_P=0,
        i_FBDSEL=Const(0, 6),
        i_IDSEL=Const(0, 6),
        i_ODSEL=Const(0, 6),
        i_PSDA=Const(0, 4),
        i_DUTYDA=Const(0, 4),
        i_FDLY=Const(0, 4),
        o_CLKOUT=clock,
        o_LOCK=locked,
    )


BOARD = FpgaBoard("tangnano9k", "GW1NR-LV9", "QN88P", "C6/I5", "gowin", 27_000_000, _Platform, {48_000_000: _pll})
