"""Unbounded proofs of the UART: the transmitter's output in every cycle, and reception from a sender in step."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Cat, Const, Cover, Module, Signal

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS"]

_DIVISOR = 4
_CYCLES = 10 * _DIVISOR


class _Byte:
    """Model of a byte on the line: a start bit, eight bits and a stop bit of `_DIVISOR` cycles each."""

    def __init__(self, m: Module, name: str) -> None:
        self.busy = Signal(name=f"{name}_busy")
        self.place = Signal(range(_CYCLES), name=f"{name}_place")
        self.data = Signal(8, name=f"{name}_data")
        self.bits = Cat(Const(0, 1), self.data, Const(1, 1))
        self.ends = self.busy & (self.place == _CYCLES - 1)
        self.level = Signal(name=f"{name}_level")
        places = Array(self.bits[i // _DIVISOR] for i in range(_CYCLES))
        m.d.comb += [self.level.eq(~self.busy | places[self.place]), Assert(self.place < _CYCLES)]

    def run(self, m: Module, begins: Any, data: Any) -> None:
        """Begin a byte if `begins`, which may be high while the previous one ends."""
        with m.If(begins):
            m.d.sync += [self.busy.eq(1), self.place.eq(0), self.data.eq(data)]
        with m.Elif(self.ends):
            m.d.sync += self.busy.eq(0)
        with m.Elif(self.busy):
            m.d.sync += self.place.eq(self.place + 1)

    def behind(self, m: Module, name: str) -> _Byte:
        """Return the model one cycle later."""
        later = _Byte(m, name)
        m.d.sync += [later.busy.eq(self.busy), later.place.eq(self.place), later.data.eq(self.data)]
        return later


def _transmitter(m: Module, core: Any, inside: Inside) -> None:
    """Compare the line in every cycle; the invariant gives the state of timer and shift register."""
    model = _Byte(m, "byte")
    model.run(m, drive(m, core.input), core.input.payload.data)
    timer, left, shifted = inside["timer"], inside["left"], inside["shifted"]
    m.d.comb += [
        Assert(core.tx == model.level, "the line is another"),
        Assert(core.input.ready == (~model.busy | model.ends), "a byte waits, or is taken too early"),
        Assert(model.busy == (left != 0)),
        Assert(left <= 10),
    ]
    with m.If(model.busy):
        m.d.comb += [
            Assert(model.place + (left - 1) * _DIVISOR + timer == _CYCLES - 1),
            Assert(shifted == (Cat(model.bits, Const(0x3FF, 10)) >> (10 - left)[:4])[:10]),
        ]
    with m.Else():
        m.d.comb += [Assert(timer == 0), Assert(shifted == 0x3FF)]
    again = Signal()
    m.d.sync += [again.eq(again | (model.ends & core.input.valid)), Cover(again & model.ends)]


def _receiver(m: Module, core: Any, inside: Inside) -> None:
    """Send bytes with any pauses from the same clock; the receiver follows three cycles later."""
    sender = _Byte(m, "sender")
    begins = Signal()
    m.d.comb += [begins.eq(AnySeq(1) & (~sender.busy | sender.ends)), core.rx.eq(sender.level)]
    sender.run(m, begins, AnySeq(8))
    seen = sender.behind(m, "once").behind(m, "twice").behind(m, "seen")
    stop = _DIVISOR // 2 - 1 + 9 * _DIVISOR
    receives = Signal()
    bits, timer, shifted = inside["bits"], inside["timer"], inside["shifted"]
    m.d.comb += [
        receives.eq(seen.busy & (seen.place <= stop)),
        # The states are IDLE, BITS and WAIT.
        Assert(inside["fsm_state"] == receives),
    ]
    with m.If(receives):
        m.d.comb += Assert(seen.place + timer == _DIVISOR // 2 - 1 + bits * _DIVISOR)
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
        "uart_transmitter",
        "line",
        "the output is start bit, byte and stop bit in their cycles, and idle otherwise; a byte is taken exactly when "
        "the previous one ends",
        _transmitter,
        Method.INDUCTION,
        depth=2,
        cover=_CYCLES * 2 + 4,
        parameters={"divisor": _DIVISOR},
    ),
    Proof(
        "uart_receiver",
        "bytes",
        "every byte of a sender in step, after any pause or none, is offered once, unchanged, until it is accepted; "
        "`lost` is high for a byte that ends while the previous one is on offer, and never otherwise",
        _receiver,
        Method.INDUCTION,
        depth=6,
        cover=_CYCLES * 2 + 8,
        parameters={"divisor": _DIVISOR},
    ),
)
