"""Packing of bytes to words of nits, for the similarity engine."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE
from ninefold.hdl.parts.relay import relay, relays_to
from ninefold.spec.formats import NIT_BITS, Mode

__all__ = ["ByteQuantiser", "WordPacker"]

#: Number of bytes of a word that share an enable.
_GROUP = 16


class WordPacker(wiring.Component):
    """Packer of bytes with two nits each into words of ``lanes`` nits.

    A word takes one cycle per byte plus one, plus two if it has more than 32 nits or three if it has more than 256. It
    is offered in the cycle after its last byte was accepted, or two or three cycles later.

    Parameters
    ----------
    lanes : int
        Nits per word; even.

    Members
    -------
    input : In(stream.Signature({data: 8, last: 1}))
        Bytes, two nits each, the first in the low half.
    words : Out(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Words, with the ``last`` of their final byte.
    pending : Out(1)
        A complete word has not been accepted.
    restart : In(1)
        Discard an incomplete word.
    """

    def __init__(self, lanes: int) -> None:
        self._bytes = lanes // 2
        layout = data.StructLayout({"nits": data.ArrayLayout(signed(NIT_BITS), lanes), "last": 1})
        super().__init__(
            {
                "input": In(stream.Signature(FRAME_BYTE)),
                "words": Out(stream.Signature(layout)),
                "pending": Out(1),
                "restart": In(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the shift register and the counter."""
        m = Module()
        word = Signal(8 * self._bytes, reset_less=True)
        last = Signal()
        count = Signal(range(self._bytes))
        accepts = self.input.valid & self.input.ready
        groups = [word[start : start + 8 * _GROUP] for start in range(0, len(word), 8 * _GROUP)]
        # Each group has its own enable; from the first group on, each is high one cycle later than `pending`.
        relays = max(1, relays_to(len(groups)))
        settled = Signal(0 if len(groups) == 1 else 1 + relays)
        m.d.comb += [
            self.words.valid.eq(Cat(self.pending, settled)[-1]),
            self.words.payload.nits.eq(word),
            self.words.payload.last.eq(last),
            self.input.ready.eq(~self.pending),
        ]
        with m.If(accepts):
            m.d.sync += [
                last.eq(self.input.payload.last),
                count.eq(Mux(count == self._bytes - 1, 0, count + 1)),
                self.pending.eq(count == self._bytes - 1),
            ]
        m.d.sync += settled.eq(Cat(self.pending, settled))
        with m.If((self.words.valid & self.words.ready) | self.restart):
            m.d.sync += [self.pending.eq(0), settled.eq(0)]
        with m.If(self.restart):
            m.d.sync += count.eq(0)
        if len(groups) == 1:
            with m.If(accepts):
                m.d.sync += word.eq(Cat(word, self.input.payload.data)[8:])
        else:
            self._shift(m, groups, accepts, relays)
        return m

    def _shift(self, m: Module, groups: list[Value], accepts: Value, relays: int) -> None:
        """Delay the shifting of a long word, so that its enable has time to spread over the device."""
        arrived = Signal()
        m.d.sync += arrived.eq(accepts)
        byte: Value = self.input.payload.data
        for cycle in range(1 + relays):
            later = Signal(8, name=f"byte_{cycle}", reset_less=True)
            m.d.sync += later.eq(byte)
            byte = later
        pulses = relay(m, "moved", arrived, len(groups), relays)
        for group, following, moves in zip(groups, [*groups[1:], byte], pulses, strict=True):
            with m.If(moves):
                m.d.sync += group.eq(Cat(group, following[:8])[8:])


class ByteQuantiser(wiring.Component):
    """Quantiser of bytes: grid values (two bytes each, low byte first) to packed nits (two per byte).

    A link delivers at most one byte a cycle, so a :class:`Quantiser` of one lane keeps up. Throughput is one input byte
    a cycle; an output byte is offered 8 cycles after its second value was complete.

    Parameters
    ----------
    mode : {"tanh", "linear"}
        Thresholds after reset.

    Members
    -------
    input : In(stream.Signature({data: 8}))
        Bytes of grid values.
    threshold : In(stream.Signature({index: 2, value: 16}))
        Writes to a threshold register. Always ready.
    output : Out(stream.Signature({data: 8}))
        Bytes of packed nits.
    """

    def __init__(self, mode: Mode) -> None:
        self._quantiser = Quantiser(mode, 1)
        super().__init__(
            {
                "input": In(stream.Signature(BYTE)),
                "threshold": In(self._quantiser.threshold.signature.flip()),
                "output": Out(stream.Signature(BYTE)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the byte conversions before and after the quantiser."""
        m = Module()
        m.submodules.quantiser = quantiser = self._quantiser
        wiring.connect(m, wiring.flipped(self.threshold), quantiser.threshold)
        values, nits = quantiser.values, quantiser.nits
        low, high_next = Signal(8), Signal()
        m.d.comb += [
            values.payload.grid[0].eq(Cat(low, self.input.payload.data).as_signed()),
            values.valid.eq(self.input.valid & high_next),
            self.input.ready.eq(~high_next | values.ready),
        ]
        with m.If(self.input.valid & self.input.ready):
            m.d.sync += [low.eq(self.input.payload.data), high_next.eq(~high_next)]

        first, second_next = Signal(NIT_BITS), Signal()
        m.d.comb += [
            self.output.payload.data.eq(Cat(first, nits.payload.nits[0].as_unsigned())),
            self.output.valid.eq(nits.valid & second_next),
            nits.ready.eq(~second_next | self.output.ready),
        ]
        with m.If(nits.valid & nits.ready):
            m.d.sync += [first.eq(nits.payload.nits[0].as_unsigned()), second_next.eq(~second_next)]
        return m
