"""Testbench of the UART transmitter: the line in every cycle."""

from collections import deque
from typing import Any

import cocotb

from ninefold.sim.testbench.fields import parameters
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always

__all__ = ["UartTransmitterTestbench", "levels"]


def levels(byte: int) -> list[int]:
    """Return the line for a byte, bit by bit: start bit, the least significant bit first, stop bit."""
    return [0, *(byte >> bit & 1 for bit in range(8)), 1]


class UartTransmitterTestbench(Testbench):
    """The transmitter; a byte's levels are due from the cycle after its acceptance on, and 1 when none are."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.divisor: int = parameters()["divisor"]
        self.due: deque[int] = deque()
        self._accepted: deque[int] = deque()
        self.input = self.source("input", self._accept)

    def _accept(self, byte: int) -> None:
        self._accepted.extend(level for level in levels(byte) for _ in range(self.divisor))

    async def step(self) -> bool:
        """Simulate one cycle, and look at the line; a byte is taken when idle and in the last cycle of a byte."""
        moved = await super().step()
        line, wanted = int(self.dut.tx.value), self.due.popleft() if self.due else 1
        assert line == wanted, f"tx is {line} in cycle {self.cycle - 1}, where {wanted} was due"
        assert self.input.ready != bool(self.due), f"ready is {self.input.ready} in cycle {self.cycle - 1}"
        # What was accepted in this cycle begins in the next.
        self.due.extend(self._accepted)
        self._accepted.clear()
        return moved

    async def finish(self, settle: int = 0) -> None:
        """Run until the line has been idle for a byte."""
        await super().finish(settle or 20 * self.divisor)


async def started(dut: Any) -> UartTransmitterTestbench:
    """Return a testbench with the device reset."""
    tb = UartTransmitterTestbench(dut)
    await tb.reset()
    return tb


@cocotb.test()
async def every_byte(dut: Any) -> None:
    """Every byte, one behind the other without a gap."""
    tb = await started(dut)
    tb.input.send(range(256))
    await tb.finish()
    assert {b - a for a, b in zip(tb.input.accepted, tb.input.accepted[1:], strict=False)} == {10 * tb.divisor}


@cocotb.test()
async def any_gap(dut: Any) -> None:
    """Bytes under each pattern of the source, and with every gap up to a byte's time."""
    tb = await started(dut)
    for pattern in PATTERNS.values():
        tb.pace(pattern, always)
        tb.input.send(tb.random.randbytes(6))
        await tb.finish(settle=tb.random.randint(1, 20 * tb.divisor))
    tb.pace(always, always)
    for gap in range(1, 11 * tb.divisor):
        tb.input.send(tb.random.randbytes(1))
        await tb.steps(gap)
    await tb.finish()


@cocotb.test()
async def reset_in_mid_byte(dut: Any) -> None:
    """After a reset the line is idle."""
    tb = await started(dut)
    for _ in range(12):
        tb.input.send(tb.random.randbytes(3))
        await tb.steps(tb.random.randint(1, 20 * tb.divisor))
        tb.due.clear()
        await tb.reset()
        await tb.steps(tb.random.choice([0, 15 * tb.divisor]))
        tb.input.send(b"\x35")
        await tb.finish()
