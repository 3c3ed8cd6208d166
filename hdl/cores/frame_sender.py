"""Frame sender: appends the CRC to each frame and encodes it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from ninefold.hdl.core import Core
from ninefold.hdl.cores.cobs_encoder import CobsEncoder
from ninefold.hdl.parts.layouts import BYTE, FRAME_BYTE
from ninefold.hdl.parts.stage import StreamStage

__all__ = ["CORE", "FrameSender"]


class FrameSender(wiring.Component):
    """Frame sender: header and payload of frames to bytes to transmit.

    The CRC-32 (zlib, little endian) covers all bytes of the frame. Throughput is one byte a cycle plus four cycles per
    frame for the CRC, and the overhead of :class:`CobsEncoder`. Latency is 4 cycles from the byte that closes a group
    to its code.

    Parameters
    ----------
    groups : int
        Maximum number of COBS groups that wait; see :class:`CobsEncoder`.

    Members
    -------
    frames : In(stream.Signature({data: 8, last: 1}))
        Bytes of header and payload; ``last`` on the final one.
    output : Out(stream.Signature({data: 8}))
        Bytes to transmit.
    """

    def __init__(self, groups: int = 4) -> None:
        self._groups = groups
        super().__init__({"frames": In(stream.Signature(FRAME_BYTE)), "output": Out(stream.Signature(BYTE))})

    def elaborate(self, _platform: object) -> Module:
        """Build the CRC and the encoder."""
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.encoder = encoder = CobsEncoder(groups=self._groups)
        # Registers split the path from the encoder's queues to the CRC.
        m.submodules.stage = stage = StreamStage(FRAME_BYTE)
        wiring.connect(m, stage.output, encoder.input)
        wiring.connect(m, encoder.output, wiring.flipped(self.output))
        index = Signal(2)
        m.d.comb += crc.data.eq(self.frames.payload.data)
        with m.FSM():
            with m.State("FRAME"):
                m.d.comb += [
                    stage.input.payload.data.eq(self.frames.payload.data),
                    stage.input.valid.eq(self.frames.valid),
                    self.frames.ready.eq(stage.input.ready),
                    crc.valid.eq(self.frames.valid & stage.input.ready),
                ]
                with m.If(crc.valid & self.frames.payload.last):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [
                    stage.input.payload.data.eq(crc.crc.word_select(index, 8)),
                    stage.input.payload.last.eq(index == 3),
                    stage.input.valid.eq(1),
                ]
                with m.If(stage.input.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == 3):
                        m.d.comb += crc.start.eq(1)
                        m.next = "FRAME"
        return m


CORE = Core(FrameSender, defaults={"groups": 4}, smallest={})
