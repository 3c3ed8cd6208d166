"""Unbounded proof of the UART receiver: the bytes of a sender in step."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Const, Cover, Module, Signal

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.serial_byte import CYCLES, DIVISOR, SerialByte
from ninefold.sim.formal.streams import follow

__all__ = ["PROOFS"]


def _receiver(m: Module, core: Any, inside: Inside) -> None:
    """Send bytes with any pauses from the same clock; the receiver follows three cycles later."""
    sender = SerialByte(m, "sender")
    begins = Signal()
    m.d.comb += [begins.eq(AnySeq(1) & (~sender.busy | sender.ends)), core.rx.eq(sender.level)]
    sender.run(m, begins, AnySeq(8))
    seen = sender.behind(m, "once").behind(m, "twice").behind(m, "seen")
    stop = DIVISOR // 2 - 1 + 9 * DIVISOR
    receives = Signal()
    bits, timer, shifted = inside["bits"], inside["timer"], inside["shifted"]
    m.d.comb += [
        receives.eq(seen.busy & (seen.place <= stop)),
        # The states are IDLE, BITS and WAIT.
        Assert(inside["fsm_state"] == receives),
    ]
    with m.If(receives):
        m.d.comb += Assert(seen.place + timer == DIVISOR // 2 - 1 + bits * DIVISOR)
        with m.If(bits > 1):
            m.d.comb += Assert((shifted >> (9 - bits)[:4]) == (seen.data & ((Const(1, 9) << (bits - 1)[:4]) - 1)[:8]))

    left = follow(m, core.output)
    offered, byte, ends = Signal(), Signal(8), Signal()
    m.d.comb += [
        ends.eq(seen.busy & (seen.place == stop)),
        Assert(core.output.valid == offered, "a byte is lost or made up"),
        Assert(~offered | (core.output.payload.data == byte), "another byte is received"),
        Assert(core.lost == (ends & offered & ~left), "the count of lost bytes is another"),
    ]
    with m.If(ends & (~offered | left)):
        m.d.sync += [offered.eq(1), byte.eq(seen.data)]
    with m.Elif(left):
        m.d.sync += offered.eq(0)
    once = Signal()
    m.d.sync += [once.eq(once | core.lost), Cover(once), Cover(left & (byte == 0xA5))]


PROOFS = (
    Proof(
        "uart_receiver",
        "bytes",
        "every byte of a sender in step, after any pause or none, is offered once, unchanged, until it is accepted; "
        "`lost` is high for a byte that ends while the previous one is on offer, and never otherwise",
        _receiver,
        Method.INDUCTION,
        depth=6,
        cover=CYCLES * 2 + 8,
        parameters={"divisor": DIVISOR},
    ),
)
