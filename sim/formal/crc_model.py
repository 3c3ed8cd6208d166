"""CRC-32 of the link and of rows as a core of its own, and its model by the definition."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

__all__ = ["POLYNOMIAL", "CheckModel", "Unit"]

POLYNOMIAL = 0xEDB88320
_ONES = 0xFFFFFFFF


class Unit(wiring.Component):
    """The CRC-32 of the link and of rows, from Amaranth's library.

    Members
    -------
    data, valid : In
        A byte, and whether there is one.
    start : In(1)
        Restart before this byte.
    crc : Out(32)
        CRC of the bytes so far.
    match_detected : Out(1)
        The last four bytes are the CRC of the preceding bytes.
    """

    def __init__(self) -> None:
        super().__init__(
            {"data": In(8), "valid": In(1), "start": In(1), "crc": Out(32), "match_detected": Out(1)},
        )

    def elaborate(self, _platform: object) -> Module:
        """Connect the unit."""
        m = Module()
        m.submodules.unit = unit = catalog.CRC32_ISO_HDLC(data_width=8).create()
        m.d.comb += [
            unit.data.eq(self.data),
            unit.valid.eq(self.valid),
            unit.start.eq(self.start),
            self.crc.eq(unit.crc),
            self.match_detected.eq(unit.match_detected),
        ]
        return m


class CheckModel:
    """CRC-32 by its definition, a bit at a time, lowest first.

    Parameters
    ----------
    m : Module
        Gets the register.
    name : str
        Name of the register.

    Attributes
    ----------
    state : Signal
        The register, inverted.
    value : Value
        CRC of the bytes so far.
    next : Signal
        The register in the next cycle.
    """

    def __init__(self, m: Module, name: str = "crc_model") -> None:
        self._m = m
        self.state = Signal(32, init=_ONES, name=name)
        self.value = ~self.state
        self.next = Signal(32, name=f"{name}_next")

    def take(self, byte: Value, valid: Value, start: Value) -> None:
        """Take a byte if `valid`, and restart before it if `start`."""
        steps = [Signal(32, name=f"{self.state.name}_{i}") for i in range(9)]
        self._m.d.comb += steps[0].eq(Mux(start, _ONES, self.state))
        for place, (before, after) in enumerate(pairwise(steps)):
            self._m.d.comb += after.eq((before >> 1) ^ Mux(before[0] ^ byte[place], Const(POLYNOMIAL, 32), 0))
        self._m.d.comb += self.next.eq(Mux(valid, steps[-1], steps[0]))
        self._m.d.sync += self.state.eq(self.next)
