"""Intake: routes the bytes of requests."""

from enum import IntEnum

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE

__all__ = ["Intake", "Way"]


class Way(IntEnum):
    """Destinations of bytes, one-hot so that they need no decoding."""

    HOLD = 0
    COLLECT = 1
    DROP = 2
    QUERY_PACKED = 4
    QUERY_GRID = 8
    ROWS = 16


class Intake(wiring.Component):
    """Router of request bytes to one destination after another, at one byte a cycle.

    All control signals are registered, because the path from here to the receiver's buffer is long.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.

    Members
    -------
    payload : In(stream.Signature({data: 8}))
        Bytes of requests.
    begin : In(1)
        Start of a request of ``length`` bytes.
    length : In(bits of buffer_bytes)
        Size of the request's payload.
    mask_bytes : In(bits of buffer_bytes)
        Number of bytes at the end of this request's queries that go to ``mask`` instead. It must be stable for two
        cycles before their way is. Only the design signs has this and ``mask``.
    way : In(5)
        Destination of the bytes, a :class:`Way`, until the end of the request. ``recent`` takes at most four.
    restart : In(1)
        Collect four more bytes.
    ends : In(1)
        The last byte of this request ends its rows.
    recent : Out(32)
        Last four collected bytes, the first of them in the lowest bits.
    collected : Out(1)
        Four bytes are collected.
    more : Out(1)
        The request has more bytes.
    packed : Out(stream.Signature({data: 8, last: 1}))
        Bytes of packed nits, for queries or rows.
    grid : Out(stream.Signature({data: 8}))
        Bytes of grid values.
    mask : Out(stream.Signature({data: 8, last: 1}))
        Bytes of a mask.
    row_byte : Out(stream.Signature({data: 8}))
        Bytes of rows, one cycle after ``packed``; always ready.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        self._masks = parameters.design == "signs"
        length = In(parameters.buffer_bytes.bit_length())
        mask = {"mask_bytes": length, "mask": Out(stream.Signature(FRAME_BYTE))}
        super().__init__(
            {
                "payload": In(stream.Signature(BYTE)),
                "begin": In(1),
                "length": length,
                "way": In(5),
                "restart": In(1),
                "ends": In(1),
                "recent": Out(32),
                "collected": Out(1),
                "more": Out(1),
                "packed": Out(stream.Signature(FRAME_BYTE)),
                "grid": Out(stream.Signature(BYTE)),
                "row_byte": Out(stream.Signature(BYTE, always_ready=True)),
                **(mask if self._masks else {}),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the counter of bytes left and the routing of the streams."""
        m = Module()
        byte = self.payload.payload.data
        left = Signal.like(self.length)
        count = Signal(3)
        collect, drop, query_packed, query_grid, rows = self.way
        collects = Signal()
        moves = Signal()
        # The bytes of this request's queries are behind; the others are its mask.
        of_mask = Signal()
        packs, quantises = (query_packed & ~of_mask) | rows, query_grid & ~of_mask
        masks = (query_packed | query_grid) & of_mask
        masked = (masks & self.mask.ready) if self._masks else 0
        m.d.comb += [
            self.collected.eq(count[2]),
            collects.eq(collect & ~count[2]),
            self.packed.payload.data.eq(byte),
            self.packed.payload.last.eq(self.ends & rows & (left == 1)),
            self.packed.valid.eq(self.payload.valid & self.more & packs),
            self.grid.payload.data.eq(byte),
            self.grid.valid.eq(self.payload.valid & self.more & quantises),
            self.payload.ready.eq(
                self.more & (collects | drop | masked | (packs & self.packed.ready) | (quantises & self.grid.ready))
            ),
            moves.eq(self.payload.valid & self.payload.ready),
        ]
        m.d.sync += [
            self.row_byte.payload.data.eq(byte),
            self.row_byte.valid.eq(moves & rows),
        ]
        with m.If(moves):
            m.d.sync += [left.eq(left - 1), self.more.eq(left != 1)]
        with m.If(moves & collects):
            m.d.sync += [self.recent.eq(Cat(self.recent[8:], byte)), count.eq(count + 1)]
        with m.If(self.restart):
            m.d.sync += count.eq(0)
        with m.If(self.begin):
            m.d.sync += [left.eq(self.length), self.more.eq(self.length != 0), count.eq(0)]
        if self._masks:
            first = Signal.like(left)
            m.d.sync += first.eq(self.mask_bytes + 1)
            m.d.comb += [
                self.mask.payload.data.eq(byte),
                self.mask.payload.last.eq(left == 1),
                self.mask.valid.eq(self.payload.valid & self.more & masks),
            ]
            with m.If(moves & (query_packed | query_grid) & (left == first)):
                m.d.sync += of_mask.eq(1)
            with m.If(self.begin):
                m.d.sync += of_mask.eq(0)
        return m
