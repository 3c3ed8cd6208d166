import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.drivers.protocol import Damage, Decoder, ProtocolError, cobs_decode, cobs_encode, encode
from ninefold.spec.errors import InputError
from ninefold.spec.link import BODY_MAX, ENCODED_MAX, PAYLOAD_MAX, Frame
from tests.drivers import fixtures

BYTE = st.integers(0, 255)
#: Mostly bytes other than zero, so that full runs occur.
BODIES = st.one_of(
    st.binary(max_size=600),
    st.integers(0, 1100).map(lambda n: b"\x01" * n),
    st.lists(st.integers(250, 257).map(lambda n: b"\x07" * n), max_size=4).map(b"\0".join),
)
FRAMES = st.builds(Frame, BYTE, BYTE, BYTE, BYTE, BODIES)
SMALL = st.builds(Frame, BYTE, BYTE, BYTE, BYTE, st.binary(max_size=40))
QUICK = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.mark.parametrize("name", fixtures.frames())
def test_frames_have_the_bytes_of_the_fixtures(name: str) -> None:
    assert encode(fixtures.frame(name)) == fixtures.encoded(name)
    assert Decoder().feed(fixtures.encoded(name)) == [fixtures.frame(name)]


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("stream", fixtures.streams(), ids=lambda s: s["name"])
def test_streams_give_the_frames_of_the_fixtures_however_they_are_cut(stream: dict[str, object], step: int) -> None:
    data = bytes.fromhex(str(stream["bytes"]))
    decoder = Decoder()
    found = [item for i in range(0, len(data), step) for item in decoder.feed(data[i : i + step])]
    assert [item for item in found if isinstance(item, Frame)] == [fixtures.frame(n) for n in stream["frames"]]  # type: ignore[attr-defined]
    assert sum(isinstance(item, Damage) for item in found) == stream["damaged"]


@given(BODIES)
def test_cobs_comes_back_and_has_no_zero(body: bytes) -> None:
    stuffed = cobs_encode(body)
    assert 0 not in stuffed
    assert len(stuffed) <= len(body) + len(body) // 254 + 1
    assert cobs_decode(stuffed) == body


@given(st.lists(FRAMES, max_size=4), st.randoms(use_true_random=False))
def test_frames_come_back_however_they_are_cut(frames: list[Frame], rng: random.Random) -> None:
    data = b"".join(encode(f) for f in frames)
    decoder, found = Decoder(), []
    while data:
        size = rng.randint(1, len(data))
        found += decoder.feed(data[:size])
        data = data[size:]
    assert found == frames


@given(st.binary(max_size=2000), FRAMES)
def test_a_frame_after_garbage_and_a_delimiter_is_found(garbage: bytes, frame: Frame) -> None:
    found = Decoder().feed(garbage + b"\0" + encode(frame))
    assert found[-1] == frame
    assert all(isinstance(item, Damage) for item in found[:-1])


#: What may happen to a frame on its way: a place in it (as a part of its length), what, and with which byte.
ACCIDENTS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["change", "drop", "repeat", "insert", "cut"]), BYTE),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, accidents: list[tuple[float, str, int]]) -> bytes:
    changed = bytearray(data)
    for where, what, byte in accidents:
        at = int(where * len(changed))
        if what == "insert" or not changed:
            changed.insert(at, byte)
        elif what == "change":
            changed[at] = byte
        elif what == "drop":
            del changed[at]
        elif what == "repeat":
            changed.insert(at, changed[at])
        else:
            del changed[at:]
    return bytes(changed)


@QUICK
@given(SMALL, ACCIDENTS, SMALL)
def test_what_was_damaged_gives_no_frame_that_was_not_sent(
    first: Frame, accidents: list[tuple[float, str, int]], second: Frame
) -> None:
    found = Decoder().feed(damaged(encode(first), accidents) + b"\0" + encode(second))
    assert found[-1] == second, "it is in step again"
    assert [item for item in found[:-1] if isinstance(item, Frame)] in ([], [first])


def test_no_burst_of_up_to_32_bits_passes() -> None:
    # What a CRC of 32 bits promises, wherever the burst begins and whatever is inside it.
    rng, frame = random.Random(32), Frame(5, 7, 0, 3, bytes(range(9)))
    body = cobs_decode(encode(frame)[:-1])
    whole, bits = int.from_bytes(body, "little"), 8 * len(body)
    for length in range(1, 33):
        for start in range(bits - length + 1):
            burst = 1 | 1 << (length - 1) | rng.getrandbits(length)
            wrong = (whole ^ burst << start).to_bytes(len(body), "little")
            (found,) = Decoder().feed(cobs_encode(wrong) + b"\0")
            assert isinstance(found, Damage), (start, length)


@QUICK
@given(st.lists(SMALL.map(encode) | st.binary(max_size=30), max_size=6), st.lists(st.integers(1, 20)))
def test_any_bytes_give_the_same_however_they_are_cut(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"".join(pieces)
    whole = Decoder().feed(data)
    decoder, found, at = Decoder(), [], 0
    for size in [*sizes, len(data)]:
        found += decoder.feed(data[at : at + size])
        at += size
        assert decoder.held_bytes <= len(data)
    assert found == whole


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"\x03\x01", r"^the COBS code 3 at byte 0 points past the frame's 2 bytes$"),
        (b"\x02\x01\x00\x05", r"^byte 2 of a COBS frame is zero$"),
    ],
)
def test_cobs_says_what_is_wrong(encoded: bytes, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        cobs_decode(encoded)


def test_damage_says_what_is_wrong() -> None:
    body = bytearray(fixtures.encoded("query packed"))
    body[6] ^= 1
    cases = {
        bytes(body): r"the CRC is [0-9a-f]{8} where the frame says [0-9a-f]{8}",
        b"\x04abc\0": r"a body of 3 bytes where 8 to 8208 are allowed",
        b"\x01" * (ENCODED_MAX + 5) + b"\0": rf"{ENCODED_MAX + 5} bytes where a frame has at most {ENCODED_MAX}",
    }
    for data, message in cases.items():
        (damage,) = Decoder().feed(data)
        assert isinstance(damage, Damage)
        assert re.fullmatch(message, damage.reason)
        assert damage.size == len(data) - 1


def test_the_longest_frame_fits_whatever_it_holds() -> None:
    for filler in (b"\0", b"\xff"):
        frame = Frame(255, 255, 255, 255, filler * PAYLOAD_MAX)
        data = encode(frame)
        assert len(data) - 1 <= ENCODED_MAX
        assert Decoder().feed(data) == [frame]
    # And one whose encoder adds an empty run after a full one.
    assert len(cobs_encode(b"\x01" * BODY_MAX)) + 1 <= ENCODED_MAX + 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame(256, 0, 0, 0), r"^kind must be 0 to 255, not 256$"),
        (Frame(1, -1, 0, 0), r"^sequence must be 0 to 255, not -1$"),
        (Frame(1, 0, 0, 0, bytes(8201)), r"^a payload must have at most 8200 bytes, not 8201$"),
    ],
)
def test_what_is_no_frame_is_refused(frame: Frame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(frame)


def test_memory_is_bounded() -> None:
    decoder = Decoder()
    for _ in range(200):
        assert decoder.feed(b"\x55" * 50_000) == []
        assert decoder.held_bytes <= ENCODED_MAX
    (damage,) = decoder.feed(b"\0")
    assert isinstance(damage, Damage)
    assert damage.size == 200 * 50_000
    assert decoder.held_bytes == 0
