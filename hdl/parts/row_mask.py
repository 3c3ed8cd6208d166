"""Mask of rows: keeps rows that a query does not allow out of a selection."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.parts.layouts import FRAME_BYTE, coarse_layout
from ninefold.hdl.parts.stage import StreamStage

__all__ = ["RowMask"]

_BYTE_BITS = 8


class RowMask(wiring.Component):
    """Stage between the sign engine and a selection that clears ``valid`` of rows that a query does not allow.

    Each query has an element in ``queries``, in order; a query whose element has ``masked`` also has a mask, in order.
    A mask is the bits of all rows, row 0 first, lowest bit first in a byte; bits beyond row ``depth - 1`` are ignored.
    Two masks are held, so the next one may enter while one is used. Scores of a query wait for its element and for its
    whole mask.

    Throughput is one word of scores per cycle and a byte of a mask in 8 cycles. Latency is 2 cycles for a word of
    scores, or 1 without the register.

    Parameters
    ----------
    dimensions, rows, depth : int
        Parameters of the layout of scores, see :func:`ninefold.hdl.parts.layouts.coarse_layout`.
    passes : int
        Number of times that the scores of a query come, each time with ``last`` on the final word.
    registered : bool
        Put a stage behind the words, so that no path leads from ``output`` to ``scores``.

    Members
    -------
    queries : In(stream.Signature({masked: 1}))
        One element a query: whether it has a mask. It is accepted when the scores of the query before are.
    mask : In(stream.Signature({data: 8, last: 1}))
        Bytes of the masks; ``last`` on the final one of each.
    scores : In(stream.Signature(coarse_layout(dimensions, rows, depth)))
        Words of scores.
    output : Out(stream.Signature(coarse_layout(dimensions, rows, depth)))
        The same words, with ``valid`` clear where the row is not allowed.
    """

    def __init__(self, dimensions: int, rows: int, depth: int, passes: int = 1, registered: bool = True) -> None:
        self._rows = rows
        self._registered = registered
        self._words = -(-depth // rows)
        self._passes = passes
        scores = stream.Signature(coarse_layout(dimensions, rows, depth))
        super().__init__(
            {
                "queries": In(stream.Signature(data.StructLayout({"masked": 1}))),
                "mask": In(stream.Signature(FRAME_BYTE)),
                "scores": In(scores),
                "output": Out(scores),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the memory of two masks, and the stages of the scores."""
        m = Module()
        # A mask has a slot of as many words as there are addresses, of `rows` bits each.
        address_bits = (self._words - 1).bit_length()
        m.submodules.memory = masks = memory.Memory(shape=self._rows, depth=2 << address_bits, init=[])
        # Complete masks that are held.
        held, entered, used = Signal(range(3)), Signal(), Signal()
        m.d.sync += held.eq(held + entered - used)
        self._enter(m, masks.write_port(), address_bits, held, entered)

        # The query whose scores come now.
        known, masked = Signal(), Signal()
        slot, turn = Signal(), Signal(range(self._passes))
        offered = self._offered(m)
        word = Signal.like(self.scores.payload, reset_less=True)
        full, whole = Signal(), Signal()
        read = masks.read_port()
        advances = ~full | offered.ready
        taken = Signal()
        final = taken & self.scores.payload.last
        ends = final & (turn == self._passes - 1)
        m.d.comb += [
            self.scores.ready.eq(advances & known & (~masked | (held != 0))),
            taken.eq(self.scores.valid & self.scores.ready),
            self.queries.ready.eq(~known),
            used.eq(ends & masked),
            read.en.eq(taken),
            read.addr.eq(Cat(self.scores.payload.word[:address_bits], slot)),
            offered.valid.eq(full),
            offered.payload.eq(word),
            offered.payload.valid.eq(word.valid & (read.data | whole.replicate(self._rows))),
        ]
        with m.If(advances):
            m.d.sync += full.eq(taken)
        with m.If(taken):
            m.d.sync += [word.eq(self.scores.payload), whole.eq(~masked)]
        with m.If(final):
            m.d.sync += turn.eq(Mux(ends, 0, turn + 1))
        with m.If(ends):
            m.d.sync += [known.eq(0), slot.eq(slot ^ masked)]
        with m.If(self.queries.valid & self.queries.ready):
            m.d.sync += [known.eq(1), masked.eq(self.queries.payload.masked)]
        return m

    def _offered(self, m: Module) -> Any:
        """Return the stream that leads to ``output``, through a stage or at once."""
        if not self._registered:
            return self.output
        m.submodules.stage = stage = StreamStage(self.output.payload.shape())
        wiring.connect(m, stage.output, wiring.flipped(self.output))
        return stage.input

    def _enter(self, m: Module, write: memory.WritePort, address_bits: int, held: Signal, entered: Signal) -> None:
        """Write the bits of a byte one by one, in words of ``rows`` bits; drive ``entered`` with the last of a mask."""
        slot, address, past = Signal(), Signal(address_bits), Signal()
        bit, place = Signal(range(_BYTE_BITS)), Signal(range(self._rows))
        collected = Signal(self._rows, reset_less=True)
        active = self.mask.valid & (held != 2)
        final = bit == _BYTE_BITS - 1
        m.d.comb += [
            self.mask.ready.eq((held != 2) & final),
            entered.eq(active & final & self.mask.payload.last),
            write.addr.eq(Cat(address, slot)),
            write.data.eq(collected),
            write.en.eq(active & ~past),
        ]
        # A word is written with each of its bits, so that one that ends early is complete.
        for i in range(self._rows):
            with m.If(place == i):
                m.d.comb += write.data[i].eq(self.mask.payload.data.bit_select(bit, 1))
        with m.If(active):
            m.d.sync += [bit.eq(bit + 1), collected.eq(write.data), place.eq(place + 1)]
            with m.If(place == self._rows - 1):
                m.d.sync += [place.eq(0), address.eq(address + 1)]
                with m.If(address == self._words - 1):
                    m.d.sync += past.eq(1)
        with m.If(entered):
            m.d.sync += [slot.eq(~slot), address.eq(0), place.eq(0), past.eq(0)]
