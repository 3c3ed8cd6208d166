"""Testbench of the COBS encoder against the golden model of the stuffing."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable
from typing import Any

import cocotb

from ninefold.sim.golden.link import stuff
from ninefold.sim.testbench.frames import FULL, corners, frame_words, nearly_full, random_frames
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["CobsEncoderTestbench"]


class CobsEncoderTestbench(Testbench):
    """The encoder, with a model that stuffs a frame when its last byte is accepted."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.input = self.source("input", lambda _: None)
        self.output = self.sink("output", hex)

    def send(self, frames: Iterable[bytes]) -> None:
        """Queue frames; a group may leave before its frame has ended, so all of it is due at once."""
        for frame in frames:
            self.input.send(frame_words([frame]))
            self.output.expected.extend(stuff(frame))


async def started(dut: Any) -> CobsEncoderTestbench:
    """Return a testbench with the device reset."""
    tb = CobsEncoderTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Frames whose bytes were written by hand, and not only by the model."""
    tb = await started(dut)
    frames = {
        b"\x11\x22\x00\x33": b"\x03\x11\x22\x02\x33\x00",
        b"\x11\x00\x00\x00": b"\x02\x11\x01\x01\x01\x00",
        FULL: b"\xff" + FULL + b"\x00",
        FULL + b"\x00": b"\xff" + FULL + b"\x01\x01\x00",
        FULL + b"\xff": b"\xff" + FULL + b"\x02\xff\x00",
    }
    for frame, wanted in frames.items():
        assert stuff(frame) == wanted, "the model disagrees with the bytes written by hand"
    tb.send(frames)
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Frames of many sizes under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.send(random_frames(tb.random, 4, 12))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def full_groups(dut: Any) -> None:
    """Groups around the longest one, at full pace and with pauses on either side."""
    tb = await started(dut)
    patterns = [always, PATTERNS["bursts"]]
    for offered, taken in itertools.product(patterns, repeat=2):
        tb.pace(offered, taken)
        tb.send(corners())
        await tb.finish()


@cocotb.test()
async def codes_close_to_the_longest(dut: Any) -> None:
    """Groups whose codes differ in one bit from the code of a full group."""
    tb = await started(dut)
    tb.send(nearly_full())
    await tb.finish()


@cocotb.test()
async def full_groups_wait_for_the_sink(dut: Any) -> None:
    """More bytes than there is room for, of a few long groups, stop the input and are whole in the end."""
    tb = await started(dut)
    tb.pace(always, blocked(900))
    tb.send([FULL + FULL + FULL])
    await tb.steps(880)
    assert tb.input.words, "it has no room for three full groups"
    await tb.finish()


@cocotb.test()
async def random_stream(dut: Any) -> None:
    """Long frames, while the patterns change."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(tb.random.choice(list(PATTERNS.values())), tb.random.choice(list(PATTERNS.values())))
        tb.send(random_frames(tb.random, 2, 300))
        await tb.steps(tb.random.randint(1, 300))
    await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """The code of a group is offered three cycles after the byte that closes it; equal groups leave no bubble."""
    tb = await started(dut)
    tb.send([b"\x05\x06\x07"])
    await tb.finish()
    assert tb.output.offered[0] == tb.input.accepted[-1] + 3
    await tb.reset()
    tb.send([b"\x05" * 100] * 12)
    await tb.finish()
    assert tb.output.offered[0] == tb.input.accepted[99] + 3
    assert tb.output.bubbles < 12


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset nothing is left of a frame that was entering or leaving."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send(random_frames(tb.random, 3, 40))
        await tb.steps(tb.random.randint(1, 60))
        await tb.reset()
        await tb.steps(tb.random.choice([0, 5]))
        tb.send([b"\x01\x00\x02"])
        await tb.finish()
