"""PLL and clock gate of an ECP5."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from ninefold.hdl.boards.board import Pll
from ninefold.spec.errors import InputError

__all__ = ["ecp5_pll"]

_VCO_HZ = range(400_000_000, 800_000_001)
_DETECTOR_HZ = range(3_125_000, 400_000_001)


def ecp5_pll(crystal_hz: int, divide: int, multiply: int, output_divide: int) -> Pll:
    """Return a function that adds a PLL with the output ``crystal_hz / divide * multiply``, gated until it is locked.

    A design then needs no reset: configuration sets the initial values of registers, and they keep them until the clock
    is stable.

    Parameters
    ----------
    crystal_hz : int
        Frequency at the pad in Hz.
    divide, multiply : int
        Dividers before the phase detector and in the feedback path.
    output_divide : int
        Divider from the oscillator to the output.

    Raises
    ------
    InputError
        The frequency of the phase detector (3.125 to 400 MHz) or oscillator (400 to 800 MHz) is out of range.
    """
    output_hz = crystal_hz * multiply // divide
    for name, value, allowed in (
        ("phase detector", crystal_hz // divide, _DETECTOR_HZ),
        ("oscillator", output_hz * output_divide, _VCO_HZ),
    ):
        if value not in allowed:
            raise InputError(f"the {name} must run at {allowed[0]} to {allowed[-1]} Hz, not {value}")

    def add(m: Module, port: Any, clock: Signal, locked: Signal) -> None:
        m.submodules.pad = pad = io.Buffer("i", port)
        running, enabled = Signal(), Signal()
        m.domains.pll = ClockDomain(reset_less=True, local=True)
        m.d.comb += ClockSignal("pll").eq(running)
        m.submodules.enable = FFSynchronizer(locked, enabled, o_domain="pll")
        m.submodules.gate = Instance("DCCA", i_CLKI=running, i_CE=enabled, o_CLKO=clock)
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{crystal_hz / 1e6:g}",
            a_FREQUENCY_PIN_CLKOP=f"{output_hz / 1e6:g}",
            # Values of Project Trellis' ecppll, which are from the vendor's tool.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=output_divide,
            p_CLKOP_CPHASE=output_divide // 2,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=divide,
            p_CLKFB_DIV=multiply,
            i_CLKI=pad.i,
            i_CLKFB=running,
            i_RST=0,
            i_STDBY=0,
            i_PHASESEL0=0,
            i_PHASESEL1=0,
            i_PHASEDIR=1,
            i_PHASESTEP=1,
            i_PHASELOADREG=1,
            i_PLLWAKESYNC=0,
            i_ENCLKOP=0,
            o_CLKOP=running,
            o_LOCK=locked,
        )

    return add
