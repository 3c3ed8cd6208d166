"""Testbench of the frame sender against the golden model of the link's bytes."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable
from typing import Any

import cocotb

from ninefold.sim.golden.link import encoded
from ninefold.sim.testbench.frames import FULL, corners, frame_words, random_frames
from ninefold.sim.testbench.streams import PATTERNS, Bench, always, blocked

__all__ = ["SenderBench"]


class SenderBench(Bench):
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


async def started(dut: Any) -> SenderBench:
    """Return a testbench with the device reset."""
    bench = SenderBench(dut)
    await bench.reset()
    return bench


@cocotb.test()
async def directed(dut: Any) -> None:
    """A frame whose bytes were written by hand: a request for statistics."""
    bench = await started(dut)
    wanted = bytes.fromhex("0306fe01051ade75bb00")
    assert encoded(b"\x06\xfe\x00\x00") == wanted, "the model disagrees with the bytes written by hand"
    bench.send([b"\x06\xfe\x00\x00"])
    await bench.finish()


@cocotb.test()
async def each_bit_counts(dut: Any) -> None:
    """Frames that differ in one bit have CRCs of their own."""
    bench = await started(dut)
    for bit in range(40):
        bench.send([(1 << bit).to_bytes(5, "little")])
    await bench.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Frames of many sizes under each pattern of the source crossed with each of the sink."""
    bench = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        bench.pace(offered, taken)
        bench.send(random_frames(bench.random, 3, 12))
        await bench.finish(settle=1)
    await bench.finish()


@cocotb.test()
async def long_frames(dut: Any) -> None:
    """Full runs, and long random frames, under changing patterns."""
    bench = await started(dut)
    bench.send(corners())
    await bench.finish()
    for _ in range(6):
        bench.pace(bench.random.choice(list(PATTERNS.values())), bench.random.choice(list(PATTERNS.values())))
        bench.send(random_frames(bench.random, 2, 300))
        await bench.steps(bench.random.randint(1, 300))
    await bench.finish()


@cocotb.test()
async def full_groups_wait_for_the_sink(dut: Any) -> None:
    """Long groups, and many empty ones, stop the input when there is no more room, and are whole in the end."""
    bench = await started(dut)
    for frames in ([FULL + FULL + FULL], [b"\0"] * 20, [b"\7\0"] * 20):
        bench.pace(always, blocked(900))
        bench.send(frames)
        await bench.steps(880)
        assert bench.frames.words, "it has room for everything"
        await bench.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A byte is accepted a cycle, and four cycles go into each CRC; the first code is offered behind its group."""
    bench = await started(dut)
    bench.send([b"\x05" * 20] * 3)
    await bench.finish()
    assert bench.frames.bubbles == 2 * 4
    run = encoded(b"\x05" * 20)[0] - 1
    assert 20 <= run <= 24
    closed = bench.frames.accepted[0] + run - 1 + (run < 24)
    assert bench.output.offered[0] == closed + 3


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset nothing is left of a frame that was entering or leaving, nor of its CRC."""
    bench = await started(dut)
    for _ in range(12):
        bench.pace(always, bench.random.choice([always, blocked(1000)]))
        bench.send(random_frames(bench.random, 3, 40))
        await bench.steps(bench.random.randint(1, 60))
        await bench.reset()
        await bench.steps(bench.random.choice([0, 5]))
        bench.send([b"\x01\x00\x02"])
        await bench.finish()
