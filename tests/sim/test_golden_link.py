"""The golden models of the link and of the board against the shared fixtures and values worked out by hand."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from ninefold.sim.golden.board import GoldenBoard
from ninefold.sim.golden.link import crc32, encoded, following, pieces, receive, stuff
from ninefold.spec.link import ERROR, LOAD_FINAL, PAYLOAD_MAX, Fault, Kind

FIXTURES = Path(__file__).parent.parent / "fixtures" / "link"
FRAMES = {frame["name"]: frame for frame in json.loads((FIXTURES / "frames.json").read_text())}
STREAMS = json.loads((FIXTURES / "streams.json").read_text())


def body(frame: dict[str, Any]) -> bytes:
    return bytes(frame[name] for name in ("kind", "sequence", "priority", "epoch")) + bytes.fromhex(frame["payload"])


@pytest.mark.parametrize("name", FRAMES)
def test_frames(name: str) -> None:
    sent = bytes.fromhex(FRAMES[name]["encoded"])
    assert encoded(body(FRAMES[name])) == sent
    assert receive(sent, PAYLOAD_MAX) == ([body(FRAMES[name])], 0, 0)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["name"])
def test_streams(stream: dict[str, Any]) -> None:
    found = receive(bytes.fromhex(stream["bytes"]), PAYLOAD_MAX)
    assert found.frames == [body(FRAMES[name]) for name in stream["frames"]]
    assert found.crc_errors + found.dropped == stream["damaged"]


def test_by_hand() -> None:
    assert stuff(b"\x11\x00\x00\x00") == b"\x02\x11\x01\x01\x01\x00"
    assert list(pieces(b"\x05\x01\x00\x00\x02\x09\x00")) == [(1, 0, 0), (0, 1, 1), (9, 0, 0), (0, 1, 0)]
    assert crc32(b"123456789") == 0xCBF43926 == zlib.crc32(b"123456789")
    sent = encoded(b"\1\2\3\4" + bytes(20))
    assert receive(sent, 20).frames == [b"\1\2\3\4" + bytes(20)]
    assert receive(sent, 19) == ([], 0, 1)


def board() -> GoldenBoard:
    return GoldenBoard(4, 2, 3, 2, 1_000, "tanh", 4, 60, 252)


def test_a_query_by_hand() -> None:
    asked = board()
    rows = bytes([0x11, 0x11, 0xFF, 0xFF, 0x04, 0x00])
    assert asked.reply(b"\x04\0\0\0" + struct.pack("<I", LOAD_FINAL) + rows) == b"\x84\0\0\0" + bytes(4)
    asked.reply(b"\x03\1\0\0" + struct.pack("<HHI", 0x19, 1, 9))
    # 4 x 1, 4 x -1, and 1 x 4: the lower id first of equal scores. The grid values are 1 by the thresholds of tanh.
    packed = asked.reply(b"\x05\2\7\x09" + b"\0\1\2\0" + b"\x11\x11")
    grid = asked.reply(b"\x05\3\7\x09" + b"\1\1\2\0" + struct.pack("<4h", 515, 1614, 600, 700))
    found = b"\0\1\2\0" + struct.pack("<HiHi", 0, 4, 2, 4)
    assert packed == b"\x85\2\7\x09" + found
    assert grid == b"\x85\3\7\x09" + found


def test_a_repeat_gets_the_kept_reply() -> None:
    asked = board()
    request = b"\x02\0\0\0" + struct.pack("<HH", 0x19, 1)
    first = asked.reply(request)
    asked.reply(b"\x03\1\0\0" + struct.pack("<HHI", 0x19, 1, 9))
    assert asked.reply(request) == first == b"\x82\0\0\0" + bytes(4)
    asked.reply(b"\x01\2\0\0abcd")
    assert asked.reply(request) == b"\x82\0\0\x09" + struct.pack("<I", 9)


def test_counters_of_time_read_as_0_and_a_sensor_is_missing() -> None:
    assert board().reply(b"\x06\0\0\0") == b"\x86\0\0\0" + bytes(32) + struct.pack("<I", 0x80000000)


def test_what_is_received_and_answered_is_counted() -> None:
    asked = board()
    (load,) = asked.receive(encoded(b"\x04\0\0\0" + struct.pack("<I", LOAD_FINAL) + b"\x11" * 4))
    asked.reply(load)
    query = b"\x05\1\0\0" + struct.pack("<BBH", 0, 3, 1) + b"\x11" * 6
    asked.reply(query)
    asked.reply(query)  # a repeat
    flipped = bytearray(encoded(query))
    flipped[5] ^= 1
    assert asked.receive(bytes(flipped) + b"\1\0\2\7\0" + encoded(b"\x06\2\0\0")) == [b"\x06\2\0\0"]
    counts = struct.unpack("<9I", asked.reply(b"\x06\2\0\0")[4:])
    # Queries, two words of cycles, two of scores, stalls, CRC errors, frames dropped.
    assert counts[:8] == (3, 0, 0, 3 * 2, 0, 0, 1, 2)
    asked.reply(b"\x07\3\0\0")
    assert struct.unpack("<9I", asked.reply(b"\x06\4\0\0")[4:])[:8] == (0,) * 8


def test_four_bytes_make_any_crc() -> None:
    for check in (0, 1, 0x80000000, 0xFFFFFFFF, 0xDEADBEEF):
        for data in (b"", b"\0", b"\x02\7\0\0"):
            assert zlib.crc32(data + following(data, check)) == check


@pytest.mark.parametrize(
    ("kind", "payload", "fault", "detail"),
    [
        (0x42, b"", Fault.KIND, 0),
        (Kind.CANDIDATES, struct.pack("<BBH", 0, 0, 1) + b"11", Fault.KIND, 0),
        (Kind.FETCH, bytes(8), Fault.KIND, 0),
        (Kind.READ, struct.pack("<HH", 0x19, 6), Fault.ADDRESS, 0x1E),
        (Kind.WRITE, struct.pack("<HHII", 0x19, 2, 1, 1), Fault.ADDRESS, 0x1A),
        (Kind.LOAD, struct.pack("<I", 2) + b"1", Fault.OFFSET, 0),
        (Kind.LOAD, struct.pack("<I", 0) + b"1" * 7, Fault.STORE, 6),
        (Kind.LOAD, struct.pack("<I", LOAD_FINAL) + b"1", Fault.ROW, 1),
        (Kind.QUERY, struct.pack("<BBH", 0, 1, 1) + b"11", Fault.EMPTY, 0),
        (Kind.RESET, b"1", Fault.LENGTH, 1),
    ],
)
def test_refusals(kind: int, payload: bytes, fault: Fault, detail: int) -> None:
    reply = board().reply(bytes([kind, 1, 2, 0]) + payload)
    assert reply == bytes([ERROR, 1, 2, 0]) + struct.pack("<BBHI", fault, kind, 0, detail)
