"""Small cores for tests of boards of design stream."""

from typing import Any

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["PAIR", "Delay", "Sums", "Wire", "packet_layout"]

#: Two numbers in a payload of 11 bits, which is no whole number of bytes.
PAIR = data.StructLayout({"a": signed(5), "b": unsigned(6)})


def packet_layout(bits: int) -> data.StructLayout:
    """Return the layout of a payload with packets."""
    return data.StructLayout({"data": bits, "last": 1})


def _shape(bits: int) -> Any:
    return bits if bits <= 64 else data.ArrayLayout(8, bits // 8)


class Wire(wiring.Component):
    """A wire from input to output.

    Parameters
    ----------
    bits : int
        Width of a payload; above 64, of bytes.
    last : bool
        The stream has packets.
    """

    def __init__(self, bits: int = 8, *, last: bool = False) -> None:
        layout = packet_layout(bits) if last else data.StructLayout({"data": _shape(bits)})
        super().__init__({"a": In(stream.Signature(layout)), "y": Out(stream.Signature(layout))})

    def elaborate(self, _platform: object) -> Module:
        """Connect both."""
        m = Module()
        wiring.connect(m, wiring.flipped(self.a), wiring.flipped(self.y))
        return m


class Sums(wiring.Component):
    """Two inputs, two outputs, a control and a status register: ``y = a + b + offset`` of each pair, and ``w`` as is.

    Members
    -------
    offset : In(16)
        Added to each sum.
    seen : Out(32)
        Number of pairs since a reset.
    """

    pairs: In(stream.Signature(PAIR))
    y: Out(stream.Signature(data.StructLayout({"sum": signed(20)})))
    offset: In(16, init=3)
    w: In(stream.Signature(packet_layout(24)))
    v: Out(stream.Signature(packet_layout(24)))
    seen: Out(32)

    def elaborate(self, _platform: object) -> Module:
        """Build the adder and the counter."""
        m = Module()
        pair: Any = self.pairs.payload
        m.d.comb += [
            self.y.payload.sum.eq(pair.a + pair.b + self.offset),
            self.y.valid.eq(self.pairs.valid),
            self.pairs.ready.eq(self.y.ready),
        ]
        wiring.connect(m, wiring.flipped(self.w), wiring.flipped(self.v))
        with m.If(self.pairs.valid & self.pairs.ready):
            m.d.sync += self.seen.eq(self.seen + 1)
        return m


class Delay(wiring.Component):
    """A core that takes a payload only each fourth cycle, and is reset to a pattern."""

    a: In(stream.Signature(data.StructLayout({"data": 8})))
    y: Out(stream.Signature(data.StructLayout({"data": 8})))

    def elaborate(self, _platform: object) -> Module:
        """Build the divider and the sum of all payloads."""
        m = Module()
        phase, total = Signal(2), Signal(8, init=7)
        m.d.sync += phase.eq(phase + 1)
        m.d.comb += [
            self.a.ready.eq((phase == 3) & (~self.y.valid | self.y.ready)),
            self.y.payload.data.eq(total),
        ]
        with m.If(self.y.ready):
            m.d.sync += self.y.valid.eq(0)
        with m.If(self.a.valid & self.a.ready):
            m.d.sync += [total.eq(total + self.a.payload.data), self.y.valid.eq(1)]
        return m
