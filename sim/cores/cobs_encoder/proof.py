"""Proof of the framing: the decoder recovers the bytes that entered the encoder."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Cover, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.cobs_decoder import CobsDecoder
from ninefold.hdl.cores.cobs_encoder import CobsEncoder
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE, PIECE
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow

__all__ = ["PROOFS", "Stuffing"]


class Stuffing(wiring.Component):
    """Encoder followed by a decoder.

    Parameters
    ----------
    group : int
        Group length of both.

    Members
    -------
    input : In(stream.Signature({data: 8, last: 1}))
        Bytes of frames.
    wire : Out(stream.Signature({data: 8}))
        Bytes between the two; its ``ready`` is not driven.
    output : Out(stream.Signature({data: 8, end: 1, damaged: 1}))
        Bytes and ends of frames.
    """

    def __init__(self, group: int) -> None:
        self._encoder, self._decoder = CobsEncoder(group), CobsDecoder(group)
        super().__init__(
            {
                "input": In(stream.Signature(FRAME_BYTE)),
                "wire": Out(stream.Signature(BYTE)),
                "output": Out(stream.Signature(PIECE)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Connect encoder and decoder."""
        m = Module()
        m.submodules.encoder, m.submodules.decoder = self._encoder, self._decoder
        wiring.connect(m, wiring.flipped(self.input), self._encoder.input)
        wiring.connect(m, self._encoder.output, self._decoder.input)
        wiring.connect(m, self._decoder.output, wiring.flipped(self.output))
        m.d.comb += [
            self.wire.payload.eq(self._encoder.output.payload),
            self.wire.valid.eq(self._encoder.output.valid & self._encoder.output.ready),
        ]
        return m


def _round_trip(m: Module, core: Any, _inside: Inside) -> None:
    """Follow any byte: an end comes after it exactly if it was the last of its frame."""
    accepted, left = drive(m, core.input), follow(m, core.output)
    piece = core.output.payload
    # Codes are 1 to 3, so encoder and decoder treat all other bytes alike.
    m.d.comb += Assume(core.input.payload.data < 4)
    watch = Watch(m, accepted, left & ~piece.end, 15)
    byte, last = Signal(8), Signal()
    with m.If(watch.begins):
        m.d.sync += [byte.eq(core.input.payload.data), last.eq(core.input.payload.last)]
    # The next piece is the one after the followed byte.
    next_piece, begun = Signal(), Signal()
    m.d.sync += next_piece.eq((watch.comes & left & ~piece.end) | (next_piece & ~left))
    with m.If(left):
        m.d.sync += begun.eq(~piece.end)
    with m.If(core.output.valid):
        m.d.comb += [Assert(~piece.damaged, "a group is cut"), Assert(begun | ~piece.end, "a frame without bytes ends")]
        with m.If(watch.comes & ~piece.end):
            m.d.comb += Assert(piece.data == byte, "another byte comes out")
        with m.If(next_piece):
            m.d.comb += Assert(piece.end == last, "a frame ends elsewhere")
    # A zero on the wire ends a frame, since the encoding leaves no other.
    frames, sent = Signal(5), Signal(5)
    m.d.sync += [
        frames.eq(frames + (left & piece.end)),
        sent.eq(sent + (core.wire.valid & (core.wire.payload.data == 0))),
    ]
    m.d.comb += Assert(~(core.wire.valid & (core.wire.payload.data == 0)) | (core.output.valid & piece.end))
    m.d.sync += [
        Cover((frames == 1) & watch.done & (byte == 0) & ~last & ~next_piece),
        Cover((frames == 2) & (sent == 2)),
    ]


PROOFS = (
    Proof(
        "cobs_encoder",
        "round_trip",
        "the decoder outputs every byte that the encoder accepts once and in order, with the same frame ends; no "
        "group is truncated, and only frame ends are 0 on the wire. Groups of 1 and 2 bytes represent groups of up to "
        "254, and bytes below 4 represent all bytes",
        _round_trip,
        Method.BOUNDED,
        depth=11,
        cover=11,
        parameters={"group": 2},
        make=Stuffing,
    ),
)
