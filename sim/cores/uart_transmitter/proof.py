"""Unbounded proof of the UART transmitter: its output in every cycle."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Cat, Const, Cover, Module, Signal

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.serial_byte import CYCLES, DIVISOR, SerialByte
from ninefold.sim.formal.streams import drive

__all__ = ["PROOFS"]


def _transmitter(m: Module, core: Any, inside: Inside) -> None:
    """Compare the line in every cycle; the invariant gives the state of timer and shift register."""
    model = SerialByte(m, "byte")
    model.run(m, drive(m, core.input), core.input.payload.data)
    timer, left, shifted = inside["timer"], inside["left"], inside["shifted"]
    m.d.comb += [
        Assert(core.tx == model.level, "the line is another"),
        Assert(core.input.ready == (~model.busy | model.ends), "a byte waits, or is taken too early"),
        Assert(model.busy == (left != 0)),
        Assert(left <= 10),
        Assert(inside["free"] == (timer == 0) & (left <= 1)),
    ]
    with m.If(model.busy):
        m.d.comb += [
            Assert(model.place + (left - 1) * DIVISOR + timer == CYCLES - 1),
            Assert(shifted == (Cat(model.bits, Const(0x3FF, 10)) >> (10 - left)[:4])[:10]),
        ]
    with m.Else():
        m.d.comb += [Assert(timer == 0), Assert(shifted == 0x3FF)]
    again = Signal()
    m.d.sync += [again.eq(again | (model.ends & core.input.valid)), Cover(again & model.ends)]


PROOFS = (
    Proof(
        "uart_transmitter",
        "line",
        "the output is start bit, byte and stop bit in their cycles, and idle otherwise; a byte is taken exactly when "
        "the previous one ends",
        _transmitter,
        Method.INDUCTION,
        depth=2,
        cover=CYCLES * 2 + 4,
        parameters={"divisor": DIVISOR},
    ),
)
