"""Proof of the frame sender: a frame, then its CRC-32."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Cover, Module, Signal

from ninefold.hdl.cores.frame_sender import FrameSender
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCheck, Direct, Passage
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS"]

_ENDS = 4


def _sender(m: Module, core: Any, inside: Inside) -> None:
    """Compare the encoder's input with the frame, then with its CRC-32."""
    accepted, sent = drive(m, core.frames), follow(m, core.output)
    byte, last = inside["encoder.given"][:8], inside["encoder.given"][8]
    closes, place = Signal(), Signal(range(_ENDS))
    ends = closes & sent & (place == _ENDS - 1)
    with m.If(closes):
        m.d.sync += [place.eq(place + sent), closes.eq(~ends)]
    with m.Else():
        m.d.sync += closes.eq(accepted & core.frames.payload.last)
    m.d.comb += [
        Assert(core.output.valid == (closes | core.frames.valid), "a byte is held back or made up"),
        Assert(core.frames.ready == (core.output.ready & ~closes), "a byte is taken that is not sent"),
        Assert(~core.output.valid | (last == (closes & (place == _ENDS - 1))), "a frame ends elsewhere"),
        Assert(inside["fsm_state"] == closes),
        Assert(inside["index"] == place),
        Assert(closes | (place == 0)),
        # The CRC-32 is of the frame: its unit gets these bytes and restarts after them.
        Assert(inside["valid"] == accepted),
        Assert(~accepted | (inside["data"] == core.frames.payload.data)),
        Assert(inside["start"] == ends),
    ]
    with m.If(closes):
        m.d.comb += Assert(byte == inside["crc.crc"].word_select(place, 8), "another CRC")
    with m.Elif(core.output.valid):
        m.d.comb += Assert(byte == core.frames.payload.data, "another byte")
    second = Signal()
    m.d.sync += [second.eq(second | ends), Cover(second & ends)]


def _sends() -> Any:
    return with_parts(FrameSender, CobsEncoder=Passage, StreamStage=Direct, CRC32_ISO_HDLC=AnyCheck)()


PROOFS = (
    Proof(
        "frame_sender",
        "frames",
        "the encoder gets every byte of a frame once, in order and unchanged, followed by its CRC-32, lowest byte "
        "first, with the fourth CRC byte marked as the last. A byte waits only while the encoder stalls or a CRC is "
        "sent. The encoder is proved as cobs_encoder, the registers before it as "
        "stage, the CRC-32 as crc",
        _sender,
        Method.INDUCTION,
        depth=1,
        cover=13,
        parameters={},
        make=_sends,
    ),
)
