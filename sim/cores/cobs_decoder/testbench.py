"""Testbench of the COBS decoder against the golden model of the stuffing."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from typing import Any

import cocotb

from ninefold.sim.golden.link import pieces, stuff
from ninefold.sim.testbench.fields import join, split
from ninefold.sim.testbench.frames import FULL, corners, nearly_full, random_frames
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["CobsDecoderTestbench"]

_WIDTHS = (8, 1, 1)


class CobsDecoderTestbench(Testbench):
    """The decoder; a piece leaves in the cycle of its byte, so all of them are due when they are sent."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.input = self.source("input", lambda _: None)
        self.output = self.sink("output", lambda piece: split(piece, _WIDTHS))

    def send(self, stream: bytes) -> None:
        """Queue bytes that end with 0."""
        self.input.send(stream)
        self.output.expected.extend(join(zip(piece, _WIDTHS, strict=True)) for piece in pieces(stream))


async def started(dut: Any) -> CobsDecoderTestbench:
    """Return a testbench with the device reset."""
    tb = CobsDecoderTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """A stream with pieces written by hand: a frame, a cut one, ends in a row, an empty group after a full one."""
    tb = await started(dut)
    stream = (
        b"\x03\x11\x22\x02\x33\x00" + b"\x05\x01\x02\x00" + b"\x00\x00" + b"\x01\x01\x00" + b"\xff" + FULL + b"\x01\x00"
    )
    first = [(0x11, 0, 0), (0x22, 0, 0), (0, 0, 0), (0x33, 0, 0), (0, 1, 0), (1, 0, 0), (2, 0, 0), (0, 1, 1)]
    second = [(0, 0, 0), (0, 1, 0), *((byte, 0, 0) for byte in FULL), (0, 1, 0)]
    assert [tuple(map(int, piece)) for piece in pieces(stream)] == [*first, *second], "the model disagrees"
    tb.send(stream)
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Frames of many sizes under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.send(b"".join(map(stuff, random_frames(tb.random, 4, 12))))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def full_groups(dut: Any) -> None:
    """Groups around the longest one, at full pace and with pauses on either side."""
    tb = await started(dut)
    for offered, taken in itertools.product([always, PATTERNS["bursts"]], repeat=2):
        tb.pace(offered, taken)
        tb.send(b"".join(map(stuff, corners())))
        await tb.finish()


@cocotb.test()
async def codes_close_to_the_longest(dut: Any) -> None:
    """Codes that differ in one bit from the code of a full group, the only one without a following 0."""
    tb = await started(dut)
    tb.send(b"".join(map(stuff, nearly_full())))
    await tb.finish()


@cocotb.test()
async def what_gives_nothing_waits_for_nothing(dut: Any) -> None:
    """A code, and an end without a frame, are accepted while the sink is blocked; a byte is not."""
    tb = await started(dut)
    tb.pace(always, blocked(30))
    tb.send(b"\0\0" + stuff(b"\5\6"))
    await tb.steps(20)
    assert len(tb.input.accepted) == 3
    await tb.finish()


@cocotb.test()
async def garbage(dut: Any) -> None:
    """Any bytes at all, each run ended by a 0: what is cut is marked, and the next frame is sound."""
    tb = await started(dut)
    for _ in range(20):
        tb.pace(tb.random.choice(list(PATTERNS.values())), always)
        low = bytes(tb.random.randrange(8) for _ in range(tb.random.randint(1, 60)))
        tb.send(tb.random.choice([low, tb.random.randbytes(40), b"\xff" * 300]) + b"\0")
        tb.send(b"".join(map(stuff, random_frames(tb.random, 2, 9))))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A piece is offered in the cycle of its byte, and bytes are accepted at one a cycle."""
    tb = await started(dut)
    tb.send(stuff(b"\x05" * 40))
    await tb.finish()
    assert tb.output.offered == tb.input.accepted[1:]
    assert tb.input.bubbles == 0


@cocotb.test()
async def reset_in_mid_frame(dut: Any) -> None:
    """After a reset nothing is left of a frame that was entering."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send(stuff(FULL))
        await tb.steps(tb.random.randint(1, 200))
        await tb.reset()
        tb.send(stuff(b"\x01\x00\x02"))
        await tb.finish()
