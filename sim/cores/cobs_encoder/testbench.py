"""Testbench of the COBS encoder against the golden model of the stuffing."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable
from typing import Any

import cocotb

from ninefold.sim.golden.link import stuff
from ninefold.sim.testbench.frames import FULL, corners, frame_words, nearly_full, random_frames
from ninefold.sim.testbench.streams import PATTERNS, Bench, always, blocked

__all__ = ["EncoderBench"]


class EncoderBench(Bench):
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


async def started(dut: Any) -> EncoderBench:
    """Return a testbench with the device reset."""
    bench = EncoderBench(dut)
    await bench.reset()
    return bench


@cocotb.test()
async def directed(dut: Any) -> None:
    """Frames whose bytes were written by hand, and not only by the model."""
    bench = await started(dut)
    frames = {
        b"\x11\x22\x00\x33": b"\x03\x11\x22\x02\x33\x00",
        b"\x11\x00\x00\x00": b"\x02\x11\x01\x01\x01\x00",
        FULL: b"\xff" + FULL + b"\x00",
        FULL + b"\x00": b"\xff" + FULL + b"\x01\x01\x00",
        FULL + b"\xff": b"\xff" + FULL + b"\x02\xff\x00",
    }
    for frame, wanted in frames.items():
        assert stuff(frame) == wanted, "the model disagrees with the bytes written by hand"
    bench.send(frames)
    await bench.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Frames of many sizes under each pattern of the source crossed with each of the sink."""
    bench = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        bench.pace(offered, taken)
        bench.send(random_frames(bench.random, 4, 12))
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def full_groups(dut: Any) -> None:
    """Groups around the longest one, at full pace and with pauses on either side."""
    bench = await started(dut)
    patterns = [always, PATTERNS["bursts"]]
    for offered, taken in itertools.product(patterns, repeat=2):
        bench.pace(offered, taken)
        bench.send(corners())
        await bench.finish()


@cocotb.test()
async def codes_close_to_the_longest(dut: Any) -> None:
    """Groups whose codes differ in one bit from the code of a full group."""
    bench = await started(dut)
    bench.send(nearly_full())
    await bench.finish()


@cocotb.test()
async def full_groups_wait_for_the_sink(dut: Any) -> None:
    """More bytes than there is room for, of a few long groups, stop the input and are whole in the end."""
    bench = await started(dut)
    bench.pace(always, blocked(900))
    bench.send([FULL + FULL + FULL])
    await bench.steps(880)
    assert bench.input.words, "it has no room for three full groups"
    await bench.finish()


@cocotb.test()
async def random_stream(dut: Any) -> None:
    """Long frames, while the patterns change."""
    bench = await started(dut)
    for _ in range(12):
        bench.pace(bench.random.choice(list(PATTERNS.values())), bench.random.choice(list(PATTERNS.values())))
        bench.send(random_frames(bench.random, 2, 300))
        await bench.steps(bench.random.randint(1, 300))
    await bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """The code of a group is offered three cycles after the byte that closes it; equal groups leave no bubble."""
    bench = await started(dut)
    bench.send([b"\x05\x06\x07"])
    await bench.finish()
    assert bench.output.offered[0] == bench.input.accepted[-1] + 3
    await bench.reset()
    bench.send([b"\x05" * 100] * 12)
    await bench.finish()
    assert bench.output.offered[0] == bench.input.accepted[99] + 3
    assert bench.output.bubbles < 12


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset nothing is left of a frame that was entering or leaving."""
    bench = await started(dut)
    for _ in range(12):
        bench.pace(always, bench.random.choice([always, blocked(1000)]))
        bench.send(random_frames(bench.random, 3, 40))
        await bench.steps(bench.random.randint(1, 60))
        await bench.reset()
        await bench.steps(bench.random.choice([0, 5]))
        bench.send([b"\x01\x00\x02"])
        await bench.finish()
