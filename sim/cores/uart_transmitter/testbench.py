"""Testbench of the UART transmitter: the line in every cycle."""

from collections import deque
from typing import Any

import cocotb

from ninefold.sim.testbench.fields import parameters
from ninefold.sim.testbench.streams import PATTERNS, Bench, always

__all__ = ["TransmitterBench", "levels"]


def levels(byte: int) -> list[int]:
    """Return the line for a byte, bit by bit: start bit, the least significant bit first, stop bit."""
    return [0, *(byte >> bit & 1 for bit in range(8)), 1]


class TransmitterBench(Bench):
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


async def started(dut: Any) -> TransmitterBench:
    """Return a testbench with the device reset."""
    bench = TransmitterBench(dut)
    await bench.reset()
    return bench


@cocotb.test()
async def every_byte(dut: Any) -> None:
    """Every byte, one behind the other without a gap."""
    bench = await started(dut)
    bench.input.send(range(256))
    await bench.finish()
    assert {b - a for a, b in zip(bench.input.accepted, bench.input.accepted[1:], strict=False)} == {10 * bench.divisor}


@cocotb.test()
async def any_gap(dut: Any) -> None:
    """Bytes under each pattern of the source, and with every gap up to a byte's time."""
    bench = await started(dut)
    for pattern in PATTERNS.values():
        bench.pace(pattern, always)
        bench.input.send(bench.random.randbytes(6))
        await bench.finish(settle=bench.random.randint(1, 20 * bench.divisor))
    bench.pace(always, always)
    for gap in range(1, 11 * bench.divisor):
        bench.input.send(bench.random.randbytes(1))
        await bench.steps(gap)
    await bench.finish()


@cocotb.test()
async def reset_in_mid_byte(dut: Any) -> None:
    """After a reset the line is idle."""
    bench = await started(dut)
    for _ in range(12):
        bench.input.send(bench.random.randbytes(3))
        await bench.steps(bench.random.randint(1, 20 * bench.divisor))
        bench.due.clear()
        await bench.reset()
        await bench.steps(bench.random.choice([0, 15 * bench.divisor]))
        bench.input.send(b"\x35")
        await bench.finish()
