"""Proofs of the frame receiver, which passes only whole frames with a correct CRC."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Cover, Module, Mux, Signal, Value

from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.parts.layouts import PIECE
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCheck, Direct
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS"]

_ENDS = 4
_CAPACITY = 16
_LONGEST = _CAPACITY - 1
_TOO_LONG = _LONGEST + 2 * _ENDS + 1


def _buffer(m: Module, core: Any, inside: Inside) -> None:
    """Offer any bytes; the invariant is on the pointers of the buffer."""
    drive(m, core.input)
    follow(m, core.headers)
    follow(m, core.payload)
    taken, sound, end = (inside[name] for name in ("taken", "sound", "end"))
    stored, readable = Signal.like(end), Signal.like(end)
    m.d.comb += [
        stored.eq(end - taken),
        readable.eq(sound - taken),
        Assert(stored < core.capacity, "the buffer overflows"),
        Assert(readable <= stored, "what is not sound is read"),
        Assert(inside["full"] | (stored <= core.capacity - 2)),
        Assert(~inside["buffer.collides"], "a word is read in the cycle in which it is written"),
        Assert(~(core.crc_error & core.dropped), "a frame is counted twice"),
    ]
    m.d.sync += [
        Cover(stored == 3),
        Cover(core.headers.valid),
        Cover(core.dropped),
    ]


def _acceptance(m: Module, core: Any, inside: Inside) -> None:
    """Follow any byte of any frame into the header, the CRC or the buffer, and to the output."""
    took, left = drive(m, core.input), follow(m, core.payload)
    m.d.comb += core.headers.ready.eq(AnySeq(1))
    # A piece from the decoder.
    piece, moves = PIECE(inside["decoder.output__payload"]), took & inside["decoder.output__valid"]
    closes = moves & piece.end
    m.d.comb += [
        # The CRC-32 is of the frame: its unit gets these bytes and restarts after them.
        Assert(inside["valid"] == (moves & ~piece.end)),
        Assert(~moves | piece.end | (inside["data"] == piece.data)),
        Assert(inside["start"] == closes),
    ]
    # The followed byte while its frame arrives.
    length, watched, place, byte = (Signal(n, name=f"frame_{i}") for i, n in enumerate((5, 1, 5, 8)))
    m.d.sync += length.eq(Mux(closes, 0, length + (moves & (length != _TOO_LONG))))
    waits, accepted, owed, ahead = (Signal(n, name=f"watch_{i}") for i, n in enumerate((1, 1, 5, 5)))
    with m.If(moves & ~piece.end & (length != _TOO_LONG) & ~watched & ~waits & AnySeq(1)):
        m.d.sync += [watched.eq(1), place.eq(length), byte.eq(piece.data)]
    with m.Elif(closes):
        m.d.sync += watched.eq(0)
    # The followed byte in the buffer, if it is part of the payload.
    of_payload = watched & (place >= _ENDS) & (place + _ENDS < length)
    m.d.sync += owed.eq(owed + Mux(accepted, length - 2 * _ENDS, 0) - left)
    with m.If(accepted & of_payload):
        m.d.sync += [waits.eq(1), ahead.eq(owed + place - _ENDS - left)]
    with m.Elif(waits & left):
        m.d.sync += [waits.eq(ahead != 0), ahead.eq(ahead - 1)]

    fits = ~piece.damaged & (length >= 2 * _ENDS) & (length < _TOO_LONG)
    header, match = core.headers.payload, inside["crc.match_detected"]
    m.d.comb += [
        accepted.eq(closes & fits & match),
        Assert(core.headers.valid == accepted, "a frame is shown that is not whole, or one that is, is not"),
        Assert(core.crc_error == (closes & fits & ~match), "the count of wrong CRCs is another"),
        Assert(core.dropped == (closes & ~fits), "the count of dropped frames is another"),
        Assert(~accepted | (header.length == length - 2 * _ENDS), "another length"),
    ]
    with m.If(waits & (ahead == 0) & core.payload.valid):
        m.d.comb += Assert(core.payload.payload.data == byte, "another byte of the payload")
    with m.If(accepted & watched):
        leads = header.as_value()[: 8 * _ENDS].word_select(place[:2], 8)
        m.d.comb += [
            Assert((place >= _ENDS) | (leads == byte), "another byte of the header"),
            Assert(
                (place + _ENDS < length) | (header.crc.word_select(_place(place, length), 8) == byte), "another CRC"
            ),
        ]
    _whereabouts(m, core, inside, (piece, length, watched, place, byte, waits, owed, ahead))
    before = Signal()
    m.d.sync += before.eq(before | accepted)
    # The byte of the second frame waits after a byte of the first one.
    m.d.sync += Cover(before & waits & (ahead == 1) & (place == _ENDS) & (length == 0))


def _place(place: Value, length: Value) -> Value:
    """Return the index of a byte among the last four bytes of a frame."""
    return (place + _ENDS - length)[:2]


def _whereabouts(m: Module, core: Any, inside: Inside, watch: tuple[Any, ...]) -> None:
    """Assert the invariant: the position of the followed byte."""
    piece, length, watched, place, byte, waits, owed, ahead = watch
    rows = Array(inside[f"buffer.row_{i}"] for i in range(_CAPACITY))
    taken, sound, end, shown = inside["taken"], inside["sound"], inside["end"], inside["shown"]
    stored, readable, arrived = (Signal.like(end, name=name) for name in ("stored", "readable", "arrived"))
    compared, whole, too_long = (inside[name] for name in ("compared", "whole", "too_long"))
    out = shown + core.payload.valid
    m.d.comb += [
        stored.eq(end - taken),
        readable.eq(sound - taken),
        arrived.eq(end - sound),
        Assert(stored < _CAPACITY),
        Assert(readable <= stored),
        Assert(inside["full"] | (stored <= _CAPACITY - 2)),
        Assert(owed == readable + out, "a byte of a payload is lost or made up"),
        Assert(length <= _TOO_LONG),
        Assert(whole == (length >= 2 * _ENDS)),
        Assert(inside["headed"] == (length >= _ENDS)),
        Assert(whole | (inside["seen"] == length)),
        Assert(too_long == (length == _TOO_LONG)),
        Assert(Mux(whole & ~too_long, arrived == length - 2 * _ENDS, whole | (arrived == 0))),
        Assert(~(inside["full"] & inside["alone"] & whole) | (arrived >= _LONGEST)),
        Assert(~compared | (inside["matches"] == inside["crc.match_detected"])),
        Assert(~compared | (inside["counted"] == (~piece.damaged & ~too_long & whole))),
        Assert(~compared | (inside["decoder.output__valid"] & piece.end)),
        Assert(~watched | (place < length)),
        Assert(~(watched & waits)),
        Assert(~waits | (ahead < owed)),
    ]
    with m.If(watched & ~too_long & (place + _ENDS >= length)):
        m.d.comb += Assert(inside["tail"].word_select(_place(place, length), 8) == byte)
    with m.Elif(watched & (place >= _ENDS) & ~too_long):
        m.d.comb += Assert(rows[(sound + place - _ENDS)[:4]] == byte)
    with m.If(watched & (place < _ENDS)):
        at = Mux(length < _ENDS, _place(place, length), place[:2])
        m.d.comb += Assert(inside["header"].word_select(at, 8) == byte)
    with m.If(waits & (ahead >= out)):
        m.d.comb += Assert(rows[(taken + ahead - out)[:4]] == byte)
    with m.Elif(waits & shown & (ahead == core.payload.valid)):
        m.d.comb += Assert(inside["buffer.read__data"] == byte)


def _receives(**given: int) -> Any:
    return with_parts(FrameReceiver, Queue=Direct, StreamStage=Direct, CRC32_ISO_HDLC=AnyCheck)(**given)


PROOFS = (
    Proof(
        "frame_receiver",
        "buffer",
        "for any input bytes, headers and payloads stay stable until accepted, the buffer does not overflow, "
        "no word is read before its frame is found valid, and none in the cycle of its write",
        _buffer,
        Method.INDUCTION,
        depth=3,
        cover=18,
        parameters={"capacity": 16, "frames": 2},
    ),
    Proof(
        "frame_receiver",
        "acceptance",
        "a header is offered for a frame exactly if none of its groups is truncated, it has 8 bytes or more, its "
        "payload fits an empty buffer, and its CRC-32 matches. Header and CRC are its first and last four bytes. "
        "`length` is the length of the payload, the bytes between, which leave the buffer once, in order and "
        "unchanged. Every other frame is counted once. By the proof of the CRC, a frame that was not sent is offered "
        "only if its last four bytes happen to be the CRC-32 of the bytes before. By the proof of the sender, a sent "
        "frame has it. The queue of headers is proved as queue, "
        "the registers after the decoder as stage",
        _acceptance,
        Method.INDUCTION,
        depth=2,
        cover=26,
        parameters={"capacity": _CAPACITY, "frames": 2},
        make=_receives,
    ),
)
