"""Model of a byte on a serial line, for the proofs of the UART."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Cat, Const, Module, Signal

__all__ = ["CYCLES", "DIVISOR", "SerialByte"]

DIVISOR = 4
CYCLES = 10 * DIVISOR


class SerialByte:
    """Model of a byte on the line: a start bit, eight bits and a stop bit of `DIVISOR` cycles each."""

    def __init__(self, m: Module, name: str) -> None:
        self.busy = Signal(name=f"{name}_busy")
        self.place = Signal(range(CYCLES), name=f"{name}_place")
        self.data = Signal(8, name=f"{name}_data")
        self.bits = Cat(Const(0, 1), self.data, Const(1, 1))
        self.ends = self.busy & (self.place == CYCLES - 1)
        self.level = Signal(name=f"{name}_level")
        places = Array(self.bits[i // DIVISOR] for i in range(CYCLES))
        m.d.comb += [self.level.eq(~self.busy | places[self.place]), Assert(self.place < CYCLES)]

    def run(self, m: Module, begins: Any, data: Any) -> None:
        """Begin a byte if `begins`, which may be high while the previous one ends."""
        with m.If(begins):
            m.d.sync += [self.busy.eq(1), self.place.eq(0), self.data.eq(data)]
        with m.Elif(self.ends):
            m.d.sync += self.busy.eq(0)
        with m.Elif(self.busy):
            m.d.sync += self.place.eq(self.place + 1)

    def behind(self, m: Module, name: str) -> SerialByte:
        """Return the model one cycle later."""
        later = SerialByte(m, name)
        m.d.sync += [later.busy.eq(self.busy), later.place.eq(self.place), later.data.eq(self.data)]
        return later
