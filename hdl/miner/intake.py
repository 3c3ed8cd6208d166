"""Intake: where the bytes of a request go."""

from enum import IntEnum

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.link.layouts import BYTE, FRAME_BYTE
from ninefold.hdl.miner.parameters import MinerParameters

__all__ = ["Intake", "Way"]


class Way(IntEnum):
    """Where bytes go: one bit each, so that none has to be decoded."""

    HOLD = 0
    COLLECT = 1
    DROP = 2
    QUERY_PACKED = 4
    QUERY_GRID = 8
    ROWS = 16


class Intake(wiring.Component):
    """Sends the bytes of one request one way after another, at one a cycle.

    Nothing that decides about a byte is further away than a register: the path from here to the buffer of the receiver
    is long enough.

    Parameters
    ----------
    parameters : MinerParameters
        The miner.

    Members
    -------
    payload : In(stream.Signature({data: 8}))
        Bytes of requests.
    begin : In(1)
        Another request, of ``length`` bytes.
    length : In(bits of buffer_bytes)
        See above.
    way : In(5)
        A :class:`Way`: where bytes go, to the end of the request. Into ``recent`` go no more than four.
    restart : In(1)
        Collect four more.
    ends : In(1)
        The last byte of this request is the last one of its rows.
    recent : Out(32)
        The last four bytes that were collected, the first of them in the lowest bits.
    collected : Out(1)
        There are four.
    more : Out(1)
        The request has more bytes.
    packed : Out(stream.Signature({data: 8, last: 1}))
        Bytes of packed nits, of queries or rows.
    grid : Out(stream.Signature({data: 8}))
        Bytes of grid values.
    row_byte : Out(stream.Signature({data: 8}))
        Bytes of rows, a cycle after they went to ``packed``; always ready.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        super().__init__(
            {
                "payload": In(stream.Signature(BYTE)),
                "begin": In(1),
                "length": In(parameters.buffer_bytes.bit_length()),
                "way": In(5),
                "restart": In(1),
                "ends": In(1),
                "recent": Out(32),
                "collected": Out(1),
                "more": Out(1),
                "packed": Out(stream.Signature(FRAME_BYTE)),
                "grid": Out(stream.Signature(BYTE)),
                "row_byte": Out(stream.Signature(BYTE, always_ready=True)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the count of bytes left and the gates of the streams."""
        m = Module()
        byte = self.payload.payload.data
        left = Signal.like(self.length)
        count = Signal(3)
        collect, drop, query_packed, query_grid, rows = self.way
        collects = Signal()
        moves = Signal()
        m.d.comb += [
            self.collected.eq(count[2]),
            collects.eq(collect & ~count[2]),
            self.packed.payload.data.eq(byte),
            self.packed.payload.last.eq(self.ends & rows & (left == 1)),
            self.packed.valid.eq(self.payload.valid & self.more & (query_packed | rows)),
            self.grid.payload.data.eq(byte),
            self.grid.valid.eq(self.payload.valid & self.more & query_grid),
            self.payload.ready.eq(
                self.more
                & (collects | drop | ((query_packed | rows) & self.packed.ready) | (query_grid & self.grid.ready))
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
        return m
