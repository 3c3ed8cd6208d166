"""iCEBreaker: iCE40UP5K, UART on the FTDI chip."""

from typing import Any

from amaranth.hdl import Instance, Module, Signal
from amaranth_boards.icebreaker import ICEBreakerPlatform

from ninefold.hdl.boards.board import FpgaBoard
from ninefold.hdl.spram import SpramMemories

__all__ = ["BOARD"]


class _Platform(SpramMemories, ICEBreakerPlatform):
    """iCEBreaker platform that puts large memories into SPRAM."""


def _pll(m: Module, port: Any, clock: Signal, locked: Signal) -> None:
    """Add the PLL: 12 MHz x 64 / 32 = 24 MHz, with the oscillator at 768 MHz."""
    m.submodules.pll = Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_DIVR=0,
        p_DIVF=63,
        p_DIVQ=5,
        p_FILTER_RANGE=1,
        i_PACKAGEPIN=port.io,
        i_RESETB=1,
        i_BYPASS=0,
        o_PLLOUTGLOBAL=clock,
        o_LOCK=locked,
    )


BOARD = FpgaBoard("icebreaker", "iCE40UP5K", "SG48", "", "ice40", 12_000_000, _Platform, {24_000_000: _pll})
