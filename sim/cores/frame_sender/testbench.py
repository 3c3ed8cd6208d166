"""Testbench of the frame sender against the golden model of the link's bytes."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable
from typing import Any

import cocotb

from ninefold.sim.golden.link import encoded
from ninefold.sim.testbench.frames import FULL, corners, frame_words, random_frames
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["FrameSenderTestbench"]


class FrameSenderTestbench(Testbench):
    """The sender with its model; a group may leave before its frame has ended, so all of it is due when it is sent."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.frames = self.source("frames", lambda _: None)
        self.output = self.sink("output", hex)

    def send(self, frames: Iterable[bytes]) -> None:
        """Queue frames."""
        for frame in frames:
            self.frames.send(frame_words([frame]))
            self.output.expected.extend(encoded(frame))


async def started(dut: Any) -> FrameSenderTestbench:
    """Return a testbench with the device reset."""
    tb = FrameSenderTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """A frame whose bytes were written by hand: a request for statistics."""
    tb = await started(dut)
    wanted = bytes.fromhex("0306fe01051ade75bb00")
    assert encoded(b"\x06\xfe\x00\x00") == wanted, "the model disagrees with the bytes written by hand"
    tb.send([b"\x06\xfe\x00\x00"])
    await tb.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Frames that differ in one bit have CRCs of their own."""
    tb = await started(dut)
    for bit in range(40):
        tb.send([(1 << bit).to_bytes(5, "little")])
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Frames of many sizes under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.send(random_frames(tb.random, 3, 12))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def long_frames(dut: Any) -> None:
    """Full runs, and long random frames, under changing patterns."""
    tb = await started(dut)
    tb.send(corners())
    await tb.finish()
    for _ in range(6):
        tb.pace(tb.random.choice(list(PATTERNS.values())), tb.random.choice(list(PATTERNS.values())))
        tb.send(random_frames(tb.random, 2, 300))
        await tb.steps(tb.random.randint(1, 300))
    await tb.finish()


@cocotb.test()
async def full_groups_wait_for_the_sink(dut: Any) -> None:
    """Long groups, and many empty ones, stop the input when there is no more room, and are whole in the end."""
    tb = await started(dut)
    for frames in ([FULL + FULL + FULL], [b"\0"] * 20, [b"\7\0"] * 20):
        tb.pace(always, blocked(900))
        tb.send(frames)
        await tb.steps(880)
        assert tb.frames.words, "it has room for everything"
        await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A byte is accepted a cycle, and four cycles go into each CRC; the first code is offered behind its group."""
    tb = await started(dut)
    tb.send([b"\x05" * 20] * 3)
    await tb.finish()
    assert tb.frames.bubbles == 2 * 4
    run = encoded(b"\x05" * 20)[0] - 1
    assert 20 <= run <= 24
    closed = tb.frames.accepted[0] + run - 1 + (run < 24)
    assert tb.output.offered[0] == closed + 4


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset nothing is left of a frame that was entering or leaving, nor of its CRC."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send(random_frames(tb.random, 3, 40))
        await tb.steps(tb.random.randint(1, 60))
        await tb.reset()
        await tb.steps(tb.random.choice([0, 5]))
        tb.send([b"\x01\x00\x02"])
        await tb.finish()
