import json
import re
import zlib
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ninefold.hdl.cores.cobs_decoder import CobsDecoder
from ninefold.hdl.cores.cobs_encoder import CobsEncoder
from ninefold.hdl.cores.frame_receiver import FrameReceiver
from ninefold.hdl.cores.frame_sender import FrameSender
from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.cores.uart_receiver import UartReceiver
from ninefold.hdl.cores.uart_transmitter import UartTransmitter
from ninefold.hdl.parts.layouts import BYTE
from ninefold.spec.errors import InputError
from tests.hdl.streams import Testbench

# A component that refuses its parameters is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

#: Worked by hand from the paper's rules.
VECTORS = [
    (b"\x00", b"\x01\x01"),
    (b"\x00\x00", b"\x01\x01\x01"),
    (b"\x11", b"\x02\x11"),
    (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
    (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01"),
    (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
    (b"\x00" + bytes(range(1, 255)), b"\x01\xff" + bytes(range(1, 255))),
    (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    (bytes(range(2, 256)) + b"\x00", b"\xff" + bytes(range(2, 256)) + b"\x01\x01"),
    (bytes(range(3, 256)) + b"\x00\x01", b"\xfe" + bytes(range(3, 256)) + b"\x02\x01"),
]
FIXTURES = Path(__file__).parent.parent / "fixtures" / "link"
FRAMES = {frame["name"]: frame for frame in json.loads((FIXTURES / "frames.json").read_text())}
RATES = [(1, 1), (1, 0.3), (0.3, 1), (0.6, 0.6)]


def stuff(frame: bytes) -> bytes:
    """COBS once more: cut at zeros, and each part into pieces of 254; a part of 254 n bytes needs no rest but at 0."""
    out = b""
    parts = frame.split(b"\0")
    for i, part in enumerate(parts):
        runs = len(part) // 254
        out += b"".join(b"\xff" + part[254 * run : 254 * (run + 1)] for run in range(runs))
        rest = part[254 * runs :]
        if rest or not runs or i < len(parts) - 1:
            out += bytes([len(rest) + 1]) + rest
    return out


def crc(frame: bytes) -> bytes:
    return frame + zlib.crc32(frame).to_bytes(4, "little")


def beats(data: bytes) -> list[dict[str, int]]:
    return [{"data": byte} for byte in data]


def frame_beats(frames: list[bytes]) -> list[dict[str, int]]:
    return [{"data": byte, "last": int(i == len(f) - 1)} for f in frames for i, byte in enumerate(f)]


def random_frames(random: Random, count: int, longest: int, shortest: int = 1) -> list[bytes]:
    return [
        bytes(random.choice([0, 1, 255, random.randrange(256)]) for _ in range(random.randint(shortest, longest)))
        for _ in range(count)
    ]


def test_hand_worked_vectors_agree_with_this_file() -> None:
    assert [stuff(frame) for frame, _ in VECTORS] == [stuffed for _, stuffed in VECTORS]


@pytest.mark.parametrize("rates", RATES)
def test_encoder(rates: tuple[float, float]) -> None:
    core = CobsEncoder()
    tb = Testbench(core, seed=1, limit=30_000)
    frames = [frame for frame, _ in VECTORS] + random_frames(tb.random, 15, 20) + [b"\x05" * 300]
    expected = b"".join(stuff(frame) + b"\0" for frame in frames)
    tb.send(core.input, frame_beats(frames), rates[0])
    got, _ = tb.receive(core.output, len(expected), rates[1])
    tb.run()
    assert bytes(byte for (byte,) in got) == expected


def test_encoder_leaves_no_bubble_between_groups_of_one_length() -> None:
    core = CobsEncoder()
    tb = Testbench(core, seed=1)
    frames = [bytes(tb.random.randrange(1, 256) for _ in range(200)) for _ in range(10)]
    tb.send(core.input, frame_beats(frames))
    got, cycles = tb.receive(core.output, sum(len(stuff(frame)) + 1 for frame in frames))
    tb.run()
    assert cycles[0] == 199 + 3
    assert cycles[-1] - cycles[0] < len(got) + 10


@pytest.mark.parametrize("rates", RATES)
def test_decoder(rates: tuple[float, float]) -> None:
    core = CobsDecoder()
    tb = Testbench(core, seed=2, limit=30_000)
    frames = [frame for frame, _ in VECTORS] + random_frames(tb.random, 15, 20)
    # Ends without a frame between them give nothing; a code of 255 may be followed by an empty group or by the end.
    stream = b"\0\0" + b"".join(stuff(frame) + b"\0" for frame in frames) + b"\0\xff" + b"\7" * 254 + b"\x01\0"
    expected = [(byte, 0, 0) if byte is not None else (0, 1, 0) for f in [*frames, b"\7" * 254] for byte in [*f, None]]
    tb.send(core.input, beats(stream), rates[0])
    got, _ = tb.receive(core.output, len(expected), rates[1])
    tb.run()
    assert got == expected


def test_decoder_marks_a_frame_that_is_cut_and_is_in_step_again() -> None:
    core = CobsDecoder()
    tb = Testbench(core, seed=2)
    tb.send(core.input, beats(b"\x05\x01\x02\x00\x02\x09\x00"))
    got, _ = tb.receive(core.output, 5)
    tb.run()
    assert got == [(1, 0, 0), (2, 0, 0), (0, 1, 1), (9, 0, 0), (0, 1, 0)]


@pytest.mark.parametrize("rates", RATES)
def test_queue(rates: tuple[float, float]) -> None:
    tb = Testbench(core := Queue(BYTE, 4), seed=10)
    sent = [{"data": byte} for byte in tb.random.randbytes(100)]
    accepted = tb.send(core.input, sent, rates[0])
    got, cycles = tb.receive(core.output, len(sent), rates[1])
    tb.run()
    assert got == [(word["data"],) for word in sent]
    assert cycles[0] >= accepted[0] + 2
    if rates == (1, 1):
        assert cycles == list(range(accepted[0] + 2, accepted[0] + 102))


@pytest.mark.parametrize("rates", RATES)
def test_sender(rates: tuple[float, float]) -> None:
    core = FrameSender()
    tb = Testbench(core, seed=3, limit=30_000)
    frames = random_frames(tb.random, 20, 40)
    expected = b"".join(stuff(crc(frame)) + b"\0" for frame in frames)
    tb.send(core.frames, frame_beats(frames), rates[0])
    got, _ = tb.receive(core.output, len(expected), rates[1])
    tb.run()
    assert bytes(byte for (byte,) in got) == expected


def watch(tb: Testbench, *signals: Any) -> list[int]:
    """Return the numbers of cycles in which each signal was high, filled by the run."""
    counts = [0] * len(signals)

    async def count(ctx: Any) -> None:
        async for _, _, *values in ctx.tick().sample(*signals):
            for i, value in enumerate(values):
                counts[i] += value

    # In the background: the run need not wait for it.
    tb.add_background(count)
    return counts


def received(core: FrameReceiver, stream: bytes, frames: list[bytes], rates: tuple[float, float]) -> list[int]:
    """Send the stream and see that exactly the frames arrive; return CRC errors and drops."""
    tb = Testbench(core, seed=4, limit=60_000)
    tb.send(core.input, beats(stream), rates[0])
    headers, _ = tb.receive(core.headers, len(frames), rates[1])
    payload, _ = tb.receive(core.payload, sum(len(frame) - 4 for frame in frames), rates[1])
    counts = watch(tb, core.crc_error, core.dropped)
    tb.run()
    assert headers == [(*frame[:4], zlib.crc32(frame), len(frame) - 4) for frame in frames]
    assert bytes(byte for (byte,) in payload) == b"".join(frame[4:] for frame in frames)
    return counts


@pytest.mark.parametrize("rates", RATES)
def test_receiver(rates: tuple[float, float]) -> None:
    frames = [b"\1\2\3\4", *random_frames(Random(5), 24, 30, shortest=4)]
    stream = b"".join(stuff(crc(frame)) + b"\0" for frame in frames)
    assert received(FrameReceiver(64, 2), stream, frames, rates) == [0, 0]


def body(frame: dict[str, Any]) -> bytes:
    return bytes(frame[name] for name in ("kind", "sequence", "priority", "epoch")) + bytes.fromhex(frame["payload"])


def test_sender_agrees_with_the_shared_frames() -> None:
    tb = Testbench(core := FrameSender(), seed=5, limit=100_000)
    # The longest takes the simulator longer than all others.
    frames = [frame for frame in FRAMES.values() if len(frame["payload"]) < 2_000]
    expected = b"".join(bytes.fromhex(frame["encoded"]) for frame in frames)
    tb.send(core.frames, frame_beats([body(frame) for frame in frames]))
    got, _ = tb.receive(core.output, len(expected))
    tb.run()
    assert bytes(byte for (byte,) in got) == expected


@pytest.mark.parametrize(
    "stream",
    [s for s in json.loads((FIXTURES / "streams.json").read_text()) if len(s["bytes"]) < 2_000],
    ids=lambda stream: stream["name"],
)
def test_receiver_agrees_with_the_shared_streams(stream: dict[str, Any]) -> None:
    frames = [body(FRAMES[name]) for name in stream["frames"]]
    counts = received(FrameReceiver(16384, 8), bytes.fromhex(stream["bytes"]), frames, (1, 1))
    assert sum(counts) == stream["damaged"]


@pytest.mark.parametrize("seed", range(3))
def test_receiver_drops_what_is_damaged_and_nothing_else(seed: int) -> None:
    random = Random(seed)
    stream, kept, damaged = b"", [], 0
    for frame in random_frames(random, 40, 24, shortest=4):
        sent = bytearray(stuff(crc(frame)) + b"\0")
        fault = random.choice(["none", "none", "flip", "cut", "garbage", "short", "long"])
        if fault == "flip":
            sent[random.randrange(len(sent) - 1)] ^= 1 << random.randrange(8)
        elif fault == "cut":
            del sent[random.randrange(1, len(sent) - 1) : -1]
        elif fault == "garbage":
            sent = bytearray(random.randbytes(random.randint(1, 300)) + b"\0") + sent
        elif fault == "short":
            sent = bytearray(stuff(crc(frame)[:7]) + b"\0")
        elif fault == "long":
            sent = bytearray(stuff(crc(random.randbytes(80))) + b"\0")
        if fault in ("none", "garbage"):
            kept.append(frame)
        damaged += fault != "none"
        stream += sent
    errors, dropped = received(FrameReceiver(64, 8), stream, kept, (1, 0.5))
    assert errors > 0
    assert dropped > 0
    assert errors + dropped >= damaged


def test_receiver_takes_the_longest_payload() -> None:
    fits, long = bytes(range(67)), bytes(range(68))
    stream = b"".join(stuff(crc(frame)) + b"\0" for frame in (fits, long, fits))
    assert received(FrameReceiver(64, 2), stream, [fits, fits], (1, 1)) == [0, 1]


def test_frames_pass_from_sender_to_receiver_without_a_bubble() -> None:
    tb = Testbench(receiver := FrameReceiver(256, 4), seed=6)
    frames = [bytes([1]) + tb.random.randbytes(50) for _ in range(20)]
    accepted = tb.send(receiver.input, beats(b"".join(stuff(crc(frame)) + b"\0" for frame in frames)))
    tb.receive(receiver.headers, len(frames))
    tb.receive(receiver.payload, sum(len(frame) - 4 for frame in frames))
    tb.run()
    assert {b - a for a, b in pairwise(accepted)} == {1}


@pytest.mark.parametrize("divisor", [4, 5, 8, 13])
def test_uart_transmitter(divisor: int) -> None:
    core = UartTransmitter(divisor)
    tb = Testbench(core, seed=7, limit=20_000)
    sent = bytes([0, 255, 0x55, 0x80, 1]) + tb.random.randbytes(5)
    accepted = tb.send(core.input, beats(sent))
    line: list[int] = []

    async def listen(ctx: Any) -> None:
        for _ in range((10 * len(sent) + 5) * divisor):
            *_, tx = await ctx.tick().sample(core.tx)
            line.append(tx)

    tb.add(listen)
    tb.run()
    assert {b - a for a, b in pairwise(accepted)} == {10 * divisor}
    bits = [bit for byte in sent for bit in [0, *(byte >> i & 1 for i in range(8)), 1]]
    start = line.index(0)
    assert line[start : start + len(bits) * divisor] == [bit for bit in bits for _ in range(divisor)]
    assert set(line[start + len(bits) * divisor :]) == {1}


def levels(data: bytes, bit_cycles: float, start: float = 20) -> list[int]:
    """Return the line at each cycle for bytes without gaps, each bit `bit_cycles` long."""
    bits = [bit for byte in data for bit in [0, *(byte >> i & 1 for i in range(8)), 1]]
    count = int(start + len(bits) * bit_cycles + 40)
    places = (int((cycle - start) // bit_cycles) for cycle in range(count))
    return [bits[place] if 0 <= place < len(bits) else 1 for place in places]


def heard(divisor: int, line: list[int]) -> tuple[bytes, int]:
    core = UartReceiver(divisor)
    tb = Testbench(core, seed=8, limit=40_000)
    got: list[int] = []

    async def drive(ctx: Any) -> None:
        ctx.set(core.output.ready, 1)
        for level in line:
            ctx.set(core.rx, level)
            *_, valid, byte = await ctx.tick().sample(core.output.valid, core.output.payload.data)
            if valid:
                got.append(byte)

    tb.add(drive)
    counts = watch(tb, core.lost)
    tb.run()
    return bytes(got), counts[0]


@pytest.mark.parametrize(("divisor", "off"), [(4, 0), (4, 0.02), (4, -0.02), (8, 0.03), (8, -0.03), (40, 0.04)])
@pytest.mark.parametrize("phase", [0, 0.3, 0.7])
def test_uart_receiver(divisor: int, off: float, phase: float) -> None:
    sent = bytes([0, 255, 0x55, 0x80, 1]) + Random(9).randbytes(6)
    assert heard(divisor, levels(sent, divisor * (1 + off), 20 + phase)) == (sent, 0)


def test_uart_receiver_ignores_noise_and_drops_a_byte_without_a_stop_bit() -> None:
    broken = levels(b"\x00", 8)
    stop = 20 + 9 * 8
    broken[stop : stop + 8] = [0] * 8
    noise = [1] * 10 + [0] * 3 + [1] * 10
    assert heard(8, noise + broken + levels(b"\xa5", 8)) == (b"\xa5", 1)


@pytest.mark.parametrize(
    ("core", "parameters", "message"),
    [
        (UartReceiver, (3,), "divisor must be an integer from 4 to 65535, not 3"),
        (UartTransmitter, (70000,), "divisor must be an integer from 4 to 65535, not 70000"),
        (FrameReceiver, (8,), "capacity must be an integer from 16 to 32768, not 8"),
        (FrameReceiver, (24,), "capacity must be a power of two, not 24"),
        (FrameReceiver, (64, 3), "frames must be a power of two, not 3"),
        (Queue, (8, 6), "depth must be a power of two, not 6"),
        (FrameReceiver, (64, 0), "frames must be an integer from 2 to 256, not 0"),
    ],
)
def test_refusals(core: Any, parameters: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        core(*parameters)
