"""Frame receiver: whole and undamaged frames, or nothing."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.checks import check_integer
from ninefold.hdl.link.cobs import CobsDecoder
from ninefold.hdl.link.layouts import BYTE, HEADER, PIECE
from ninefold.hdl.link.queue import BlockQueue
from ninefold.spec.errors import InputError

__all__ = ["FrameReceiver"]

_HEADER_BYTES = 4
_CRC_BYTES = 4
_CAPACITY_MAX = 2**15


class FrameReceiver(wiring.Component):
    """Received bytes in, headers and payloads of sound frames out.

    A frame is shown once its end has come and its CRC-32 (zlib's, over header and payload, little endian) holds; any
    other is dropped and counted. What follows the next 0 is a new frame, whatever came before it.

    Throughput is one byte a cycle. The header is offered 3 cycles after the end of its frame was accepted, its payload
    from then on. When the buffer is full of frames that are not taken, or ``frames`` headers wait, the input stalls; a
    frame that alone is too long for the buffer is dropped.

    Parameters
    ----------
    capacity : int
        Bytes of the buffer, a power of two from 16 to 32768. Each payload takes 4 bytes more until its end has come,
        so the longest payload has ``capacity - 4``.
    frames : int
        Headers that may wait, a power of two from 2 to 256.

    Members
    -------
    input : In(stream.Signature({data: 8}))
        Bytes as received.
    headers : Out(stream.Signature({type: 8, sequence: 8, priority: 8, epoch: 8, crc: 32, length: 16}))
        One a frame.
    payload : Out(stream.Signature({data: 8}))
        The payloads in order, ``length`` bytes for each header.
    crc_error : Out(1)
        High for a cycle for each frame whose CRC does not hold.
    dropped : Out(1)
        High for a cycle for each frame that is too short, too long or cut within a group of the stuffing.

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
        """Build decoder, CRC, buffer and the queue of headers."""
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.queue = queue = BlockQueue(HEADER, self.frames)
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=self.capacity, init=[])
        write, read = buffer.write_port(), buffer.read_port()
        wiring.connect(m, wiring.flipped(self.input), decoder.input)
        wiring.connect(m, queue.output, wiring.flipped(self.headers))
        # A register cuts the path from a line through the decoder to the pointers.
        piece, valid, ready = Signal(PIECE), Signal(), Signal()
        m.d.comb += decoder.output.ready.eq(~valid | ready)
        with m.If(decoder.output.ready):
            m.d.sync += [piece.eq(decoder.output.payload), valid.eq(decoder.output.valid)]

        # Pointers have one bit more than an address. What lies before `sound` may be read; `end` is behind the frame
        # that arrives, `payload_end` in front of what would be its CRC, with `length` bytes before it.
        bits = self.capacity.bit_length()
        taken, sound, end, payload_end = Signal(bits), Signal(bits), Signal(bits), Signal(bits)
        length = Signal(bits)
        seen = Signal(range(_HEADER_BYTES + _CRC_BYTES + 1))
        header = Signal(8 * _HEADER_BYTES)
        tail = Signal(8 * _CRC_BYTES)
        too_long = Signal()
        in_header = seen < _HEADER_BYTES
        whole = seen == _HEADER_BYTES + _CRC_BYTES
        full = (end ^ taken) == self.capacity
        store = Signal()
        good, counted = Signal(), Signal()
        m.d.comb += [
            counted.eq(~piece.damaged & ~too_long & whole),
            good.eq(counted & crc.match_detected),
            ready.eq((~piece.end | queue.input.ready) & (piece.end | in_header | ~full | (sound == taken) | too_long)),
            store.eq(valid & ready & ~piece.end & ~in_header & ~full & ~too_long),
            crc.data.eq(piece.data),
            crc.valid.eq(valid & ready & ~piece.end),
            crc.start.eq(valid & ready & piece.end),
            write.data.eq(piece.data),
            write.addr.eq(end[:-1]),
            write.en.eq(store),
            queue.input.payload.eq(Cat(header, tail, length)),
            queue.input.valid.eq(valid & ready & piece.end & good),
            self.crc_error.eq(valid & ready & piece.end & counted & ~crc.match_detected),
            self.dropped.eq(valid & ready & piece.end & ~counted),
        ]
        with m.If(valid & ready & piece.end):
            m.d.sync += [seen.eq(0), too_long.eq(0), length.eq(0), end.eq(sound), payload_end.eq(sound)]
            with m.If(good):
                m.d.sync += [end.eq(payload_end), payload_end.eq(payload_end), sound.eq(payload_end)]
        with m.Elif(valid & ready):
            m.d.sync += [
                seen.eq(seen + ~whole),
                tail.eq(Cat(tail[8:], piece.data)),
                too_long.eq(too_long | (~in_header & full)),
            ]
            with m.If(in_header):
                m.d.sync += header.eq(Cat(header[8:], piece.data))
        with m.If(store):
            m.d.sync += end.eq(end + 1)
            with m.If(whole):
                m.d.sync += [payload_end.eq(payload_end + 1), length.eq(length + 1)]

        # Reading: the word that the memory shows is offered until it is taken.
        shown = Signal()
        advance = Signal()
        m.d.comb += [
            advance.eq((~shown | self.payload.ready) & (taken != sound)),
            read.addr.eq(taken[:-1]),
            read.en.eq(advance),
            self.payload.valid.eq(shown),
            self.payload.payload.data.eq(read.data),
        ]
        m.d.sync += [taken.eq(taken + advance), shown.eq(advance | (shown & ~self.payload.ready))]
        return m
