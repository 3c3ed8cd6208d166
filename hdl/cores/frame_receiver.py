"""Frame receiver: passes valid frames and drops all others."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.cores.cobs_decoder import CobsDecoder
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.parts.layouts import BYTE, HEADER, PIECE
from ninefold.hdl.parts.stage import StreamStage
from ninefold.spec.errors import InputError

__all__ = ["CORE", "FrameReceiver"]

_HEADER_BYTES = 4
_CRC_BYTES = 4
_CAPACITY_MAX = 2**15


class FrameReceiver(wiring.Component):
    """Frame receiver: received bytes to headers and payloads of valid frames.

    A frame is offered after its end if its CRC-32 (zlib, over header and payload, little endian) is correct. Other
    frames are dropped and counted. Each 0 starts a new frame, whatever came before it.

    Throughput is one byte a cycle; the extra cycle for the end of a frame coincides with a COBS code, which produces no
    byte. The header is offered 4 cycles after the end of its frame was accepted, its payload from the next cycle on.
    The input stalls while the buffer is full of accepted frames or ``frames`` headers wait. A frame that is longer than
    the buffer is dropped.

    Parameters
    ----------
    capacity : int
        Size of the buffer in bytes, a power of two from 16 to 32768. The longest payload has ``capacity - 1`` bytes.
    frames : int
        Maximum number of waiting headers, a power of two from 2 to 256.

    Members
    -------
    input : In(stream.Signature({data: 8}))
        Received bytes.
    headers : Out(stream.Signature({type: 8, sequence: 8, priority: 8, epoch: 8, crc: 32, length: 16}))
        One header per frame.
    payload : Out(stream.Signature({data: 8}))
        Payloads in order, ``length`` bytes for each header.
    crc_error : Out(1)
        High for one cycle for each frame with a wrong CRC.
    dropped : Out(1)
        High for one cycle for each frame that is too short, too long or ends within a COBS group.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, capacity: int, frames: int = 8) -> None:
        self.capacity = check_integer("capacity", capacity, 16, _CAPACITY_MAX)
        self.frames = check_integer("frames", frames, 2, 256)
        for name, value in (("capacity", capacity), ("frames", frames)):
            if value & (value - 1):
                raise InputError(f"{name} must be a power of two, not {value}")
        super().__init__(
            {
                "input": In(stream.Signature(BYTE)),
                "headers": Out(stream.Signature(HEADER)),
                "payload": Out(stream.Signature(BYTE)),
                "crc_error": Out(1),
                "dropped": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the decoder, CRC, buffer and queue of headers."""
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.queue = queue = Queue(HEADER, self.frames)
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=self.capacity, init=[])
        write, read = buffer.write_port(), buffer.read_port()
        wiring.connect(m, wiring.flipped(self.input), decoder.input)
        wiring.connect(m, queue.output, wiring.flipped(self.headers))
        # Registers split the path from the link through the decoder to the pointers, and the path back.
        m.submodules.stage = stage = StreamStage(PIECE)
        wiring.connect(m, decoder.output, stage.input)
        piece, valid, ready = stage.output.payload, stage.output.valid, stage.output.ready

        # Pointers have one bit more than an address. Bytes before `sound` may be read; `end` follows the frame that is
        # being received. Its last four bytes wait in `tail`; they are the CRC once the frame has ended.
        bits = self.capacity.bit_length()
        taken = Signal(bits)
        sound = Signal(bits)
        end = Signal(bits)
        seen = Signal(range(_HEADER_BYTES + _CRC_BYTES))
        header = Signal(8 * _HEADER_BYTES)
        tail = Signal(8 * _CRC_BYTES)
        too_long = Signal()
        # The frame has passed its header, and 8 bytes.
        headed, whole = (Signal(name=n) for n in ("headed", "whole"))
        # Registered, one cycle after the byte. Nothing is stored in the first 8 cycles of a frame, so `sound` is up to
        # date where these flags matter.
        full = Signal()
        alone = Signal()
        held = (end - taken)[:bits]
        # The end of a frame takes two cycles; the first compares the CRC.
        compared, counted, matches = (Signal(name=n) for n in ("compared", "counted", "matches"))
        store, enters, closes = (Signal(name=n) for n in ("store", "enters", "closes"))
        m.d.comb += [
            enters.eq(valid & ~piece.end & (~whole | ~full | alone | too_long)),
            closes.eq(compared & queue.input.ready),
            ready.eq(enters | closes),
            store.eq(valid & ~piece.end & whole & ~full & ~too_long),
            crc.data.eq(piece.data),
            crc.valid.eq(enters),
            crc.start.eq(closes),
            write.data.eq(tail),
            write.addr.eq(end[:-1]),
            write.en.eq(store),
            queue.input.payload.eq(Cat(header, tail, (end - sound)[:bits])),
            queue.input.valid.eq(closes & counted & matches),
            self.crc_error.eq(closes & counted & ~matches),
            self.dropped.eq(closes & ~counted),
        ]
        m.d.sync += [
            full.eq((held >= self.capacity - 1) | (store & (held >= self.capacity - 2))),
            alone.eq(sound == taken),
            compared.eq(valid & piece.end & ~closes),
            counted.eq(~piece.damaged & ~too_long & whole),
            matches.eq(crc.match_detected),
        ]
        with m.If(closes):
            m.d.sync += [seen.eq(0), headed.eq(0), whole.eq(0), too_long.eq(0)]
            with m.If(counted & matches):
                m.d.sync += sound.eq(end)
            with m.Else():
                m.d.sync += end.eq(sound)
        with m.If(enters):
            m.d.sync += [
                seen.eq(seen + 1),
                headed.eq(headed | (seen == _HEADER_BYTES - 1)),
                whole.eq(whole | (seen == _HEADER_BYTES + _CRC_BYTES - 1)),
                tail.eq(Cat(tail[8:], piece.data)),
                too_long.eq(too_long | (whole & full)),
            ]
        # A byte without room is never part of a header.
        with m.If(valid & ~piece.end & ~headed):
            m.d.sync += header.eq(Cat(header[8:], piece.data))
        with m.If(store):
            m.d.sync += end.eq(end + 1)

        # Reading: a register follows the memory, because block RAM is slow.
        shown, moves, advance = (Signal(name=n) for n in ("shown", "moves", "advance"))
        m.d.comb += [
            moves.eq(shown & (~self.payload.valid | self.payload.ready)),
            advance.eq((~shown | moves) & (taken != sound)),
            read.addr.eq(taken[:-1]),
            read.en.eq(advance),
        ]
        m.d.sync += [
            shown.eq(advance | (shown & ~moves)),
            self.payload.valid.eq(moves | (self.payload.valid & ~self.payload.ready)),
        ]
        with m.If(advance):
            m.d.sync += taken.eq(taken + 1)
        with m.If(moves):
            m.d.sync += self.payload.payload.data.eq(read.data)
        return m


CORE = Core(
    FrameReceiver,
    defaults={"capacity": 2048, "frames": 8},
    small={"capacity": 512, "frames": 4},
    smallest={"capacity": 64, "frames": 2},
)
