"""Testbench of the frame receiver against the golden model: sound frames arrive, and nothing else does."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable
from typing import Any

import cocotb

from ninefold.sim.golden.link import crc32, encoded, receive, stuff
from ninefold.sim.testbench.fields import join, parameters
from ninefold.sim.testbench.frames import random_frames
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["FrameReceiverTestbench"]


class FrameReceiverTestbench(Testbench):
    """The receiver, with a model that takes a frame when its end is accepted."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.capacity: int = parameters()["capacity"]
        self.waiting: int = parameters()["frames"]
        self.input = self.source("input", self._accept)
        self.headers = self.sink("headers", hex)
        self.payload = self.sink("payload", hex)
        self.crc_errors, self.dropped = self.pulses("crc_error"), self.pulses("dropped")
        self.forget()

    def forget(self) -> None:
        """Reset the model."""
        self._stream = b""
        self._refused = [0, 0]

    def _accept(self, byte: int) -> None:
        self._stream += bytes([byte])
        if byte:
            return
        frames, crc_errors, dropped = receive(self._stream, self.capacity - 1)
        self._refused[0] += crc_errors
        self._refused[1] += dropped
        self._stream = b""
        for frame in frames:
            fields = [*((byte, 8) for byte in frame[:4]), (crc32(frame), 32), (len(frame) - 4, 16)]
            self.headers.expected.append(join(fields))
            self.payload.expected.extend(frame[4:])

    def send(self, frames: Iterable[bytes]) -> None:
        """Queue whole frames, each header and payload."""
        for frame in frames:
            self.input.send(encoded(frame))

    async def restart(self) -> None:
        """Reset the device and the model."""
        self.forget()
        await self.reset()

    async def finish(self, settle: int = 40) -> None:
        """Run to the end, and compare the counts of what was refused."""
        await super().finish(settle)
        counts = [self.crc_errors.count, self.dropped.count]
        assert counts == self._refused, f"CRC errors and drops are {counts}, not {self._refused}"


async def started(dut: Any) -> FrameReceiverTestbench:
    """Return a testbench with the device reset."""
    tb = FrameReceiverTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """A request for statistics, whose bytes were written by hand, alone and behind what is no frame."""
    tb = await started(dut)
    sound = bytes.fromhex("0306fe01051ade75bb00")
    assert receive(sound, 64).frames == [b"\x06\xfe\x00\x00"], "the model disagrees with the bytes written by hand"
    for before in (b"", b"\0\0", b"\x13garbage\0", b"garbage", b"\x05\x06", b"\x09\x01\x02\0", b"\xff" * 600 + b"\0"):
        tb.input.send(before + sound + sound)
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Frames of many sizes under each pattern of the source crossed with each of the sinks."""
    tb = await started(dut)
    longest = min(16, tb.capacity)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.headers.pace(tb.random.choice([always, taken]))
        tb.send(random_frames(tb.random, 4, longest, shortest=4))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def each_damaged_bit_is_seen(dut: Any) -> None:
    """Frames with any one bit flipped are refused, and the frame behind them arrives."""
    tb = await started(dut)
    sent = encoded(b"\x05\x01\x00\x07\x03\x00\xfe")
    for bit in range(8 * (len(sent) - 1)):
        flipped = bytearray(sent)
        flipped[bit // 8] ^= 1 << bit % 8
        tb.input.send(bytes(flipped) + b"\0" + sent)
    await tb.finish()
    assert tb.crc_errors.count > 30
    assert tb.dropped.count > 1


@cocotb.test()
async def lengths(dut: Any) -> None:
    """Bodies from nothing to more than the buffer holds; those that fit arrive."""
    tb = await started(dut)
    for size in range(10):
        tb.input.send(stuff(tb.random.randbytes(size) or b"\1"))
    for size in range(tb.capacity - 3, tb.capacity + 3):
        tb.send([tb.random.randbytes(4 + size)])
        await tb.finish()
    await tb.finish()


@cocotb.test()
async def damage_at_random(dut: Any) -> None:
    """Flips, cuts, garbage and frames without an end between sound frames, while the patterns change."""
    tb = await started(dut)
    for _ in range(60):
        tb.pace(tb.random.choice(list(PATTERNS.values())), tb.random.choice(list(PATTERNS.values())))
        (frame,) = random_frames(tb.random, 1, min(40, tb.capacity), shortest=4)
        sent = bytearray(encoded(frame))
        place = tb.random.randrange(len(sent) - 1)
        fault = tb.random.randrange(6)
        if fault == 0:
            sent[place] ^= 1 << tb.random.randrange(8)
        elif fault == 1:
            del sent[place : tb.random.randint(place, len(sent))]
        elif fault == 2:
            sent[:0] = tb.random.randbytes(tb.random.randint(1, 30))
        tb.input.send(sent)
        await tb.steps(tb.random.randint(1, 60))
    tb.input.send(b"\0")
    await tb.finish()


@cocotb.test()
async def waits_for_its_sinks(dut: Any) -> None:
    """With both sinks blocked the input stops in the end, when headers or payloads fill their queues."""
    tb = await started(dut)
    size = 4 + tb.capacity // 4
    for frames, count in ((random_frames(tb.random, 1, size, size), 8), ([b"\1\2\3\4"], tb.waiting + 4)):
        blocked_for = 8 * tb.capacity + 40 * tb.waiting
        tb.pace(always, blocked(blocked_for))
        tb.send(frames * count)
        await tb.steps(blocked_for)
        assert not tb.input.ready, f"bytes are still accepted after {blocked_for} blocked cycles"
        await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A header is offered four cycles after the end of its frame, and frames enter at one byte a cycle."""
    tb = await started(dut)
    tb.send([b"\1\2\3\4\5\6\7\0"] * 6)
    await tb.finish()
    assert tb.input.bubbles == 0
    size = len(encoded(b"\1\2\3\4\5\6\7\0"))
    ends = tb.input.accepted[size - 1 :: size]
    assert tb.headers.offered == [end + 4 for end in ends]
    assert all(first <= end + 5 for first, end in zip(tb.payload.offered[::4], ends, strict=True))


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset nothing is left of a frame that was entering or waiting."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send(random_frames(tb.random, 4, min(20, tb.capacity), shortest=4))
        await tb.steps(tb.random.randint(1, 60))
        await tb.restart()
        await tb.steps(tb.random.choice([0, 5]))
        tb.send([b"\x01\x00\x02\x00\x00"])
        await tb.finish()
