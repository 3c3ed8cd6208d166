"""COBS decoder: stuffed bytes to bytes and ends of frames; `ninefold.hdl.cores.cobs_encoder` describes the code."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.layouts import BYTE, PIECE
from ninefold.spec.link import COBS_RUN

__all__ = ["CORE", "CobsDecoder"]


class CobsDecoder(wiring.Component):
    """COBS decoder: stuffed bytes to bytes and ends of frames.

    Throughput is one byte a cycle, latency 0: an input byte produces at most one output, in the cycle in which it is
    offered. A 0 ends a frame, whatever came before, so the decoder resynchronises after any garbage. A frame that ends
    within a group is marked. Consecutive zeros produce no output.

    Parameters
    ----------
    group : int
        Maximum number of bytes in a group without its code, 2 to 254; below 254 only for tests of short groups.

    Members
    -------
    input : In(stream.Signature({data: 8}))
        Stuffed bytes.
    output : Out(stream.Signature({data: 8, end: 1, damaged: 1}))
        Bytes of the frame, then one transfer with ``end``, which carries no byte; ``damaged`` marks an incomplete
        group.
    """

    def __init__(self, group: int = COBS_RUN) -> None:
        self.group = check_integer("group", group, 2, COBS_RUN)
        super().__init__({"input": In(stream.Signature(BYTE)), "output": Out(stream.Signature(PIECE))})

    def elaborate(self, _platform: object) -> Module:
        """Build the counter of bytes left in the group."""
        m = Module()
        byte, piece = self.input.payload.data, self.output.payload
        left = Signal(8)
        # `left` is not 0. A register, because the byte waits for the result of this comparison.
        within = Signal()
        begun = Signal()
        zero_due = Signal()
        ends = byte == 0
        gives = Mux(ends, begun, within | zero_due)
        moves = Signal()
        m.d.comb += [
            piece.data.eq(Mux(within, byte, 0)),
            piece.end.eq(ends),
            piece.damaged.eq(ends & within),
            self.output.valid.eq(self.input.valid & gives),
            self.input.ready.eq(self.output.ready | ~gives),
            moves.eq(self.input.valid & self.input.ready),
        ]
        with m.If(moves):
            with m.If(ends):
                m.d.sync += [within.eq(0), begun.eq(0), zero_due.eq(0)]
            with m.Elif(within):
                m.d.sync += [left.eq(left - 1), within.eq(left != 1)]
            with m.Else():
                m.d.sync += [
                    left.eq(byte - 1),
                    within.eq(byte != 1),
                    begun.eq(1),
                    zero_due.eq(byte != self.group + 1),
                ]
        return m


CORE = Core(
    CobsDecoder,
    defaults={"group": COBS_RUN},
    without={
        "proof": "the proof of cobs_encoder is of both, `ninefold prove cobs_encoder`",
        "faults": "they are planted in the proof of cobs_encoder, which is of both",
    },
)
