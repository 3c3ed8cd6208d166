"""Testbench of the UART receiver: senders of any phase and of the promised rates, noise, broken bytes, a slow sink."""

# ruff: noqa: D401 - the docstring of a test states what holds

from collections import deque
from collections.abc import Iterable
from typing import Any

import cocotb

from ninefold.sim.cores.uart_transmitter.testbench import levels
from ninefold.sim.testbench.fields import parameters
from ninefold.sim.testbench.streams import Testbench, always, blocked

__all__ = ["UartReceiverTestbench"]


class UartReceiverTestbench(Testbench):
    """The receiver, with the level of its line for each cycle to come."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.divisor: int = parameters()["divisor"]
        self.line: deque[int] = deque()
        self.output = self.sink("output", hex)
        self.lost = self.pulses("lost")
        self.dut.rx.value = 1

    async def step(self) -> bool:
        """Set the line, and simulate one cycle."""
        self.dut.rx.value = self.line.popleft() if self.line else 1
        return await super().step()

    def send(self, data: Iterable[int], off: float = 0, phase: float = 0) -> None:
        """Queue bytes without gaps, from a sender that is off by that part of a bit, and by a part of a cycle."""
        bits = [bit for byte in data for bit in levels(byte)]
        length = self.divisor * (1 + off)
        cycles = round(len(bits) * length)
        self.line.extend(bits[min(int((cycle + phase) / length), len(bits) - 1)] for cycle in range(cycles))

    def level(self, level: int, cycles: int) -> None:
        """Queue a level for some cycles."""
        self.line.extend([level] * cycles)

    async def run(self, due: Iterable[int], lost: int = 0) -> None:
        """Run until the line is idle; exactly these bytes arrive, and exactly `lost` are lost."""
        self.output.expected.extend(due)
        before = self.lost.count
        while self.line:
            await self.step()
        await self.finish(settle=12 * self.divisor)
        assert self.lost.count == before + lost, f"{self.lost.count - before} bytes are lost, not {lost}"


async def started(dut: Any) -> UartReceiverTestbench:
    """Return a testbench with the device reset."""
    tb = UartReceiverTestbench(dut)
    await tb.reset()
    await tb.steps(5)
    return tb


@cocotb.test()
async def every_byte(dut: Any) -> None:
    """Every byte, one behind the other without a gap."""
    tb = await started(dut)
    tb.send(range(256))
    await tb.run(range(256))


@cocotb.test()
async def senders_that_are_off(dut: Any) -> None:
    """Senders too quick and too slow by 2 %, and by 4 % where the divisor is large, in any phase."""
    tb = await started(dut)
    most = 0.04 if tb.divisor >= 40 else 0.02
    for off in (-most, -most / 2, most / 2, most):
        for phase in (0, 0.25, 0.5, 0.75):
            data = b"\x00\xff\x55" + tb.random.randbytes(5)
            tb.send(data, off, phase)
            tb.level(1, tb.random.randint(1, 2 * tb.divisor))
            await tb.run(data)


@cocotb.test()
async def noise(dut: Any) -> None:
    """A start bit that is over before its middle gives nothing, and the byte behind it arrives."""
    tb = await started(dut)
    for length in range(1, tb.divisor // 2):
        tb.level(0, length)
        tb.level(1, tb.divisor)
        tb.send([0xA5])
        await tb.run([0xA5])


@cocotb.test()
async def bytes_without_a_stop_bit(dut: Any) -> None:
    """A byte without a stop bit is lost and counted; the next one needs an idle line before it."""
    tb = await started(dut)
    for low in (0, 1, 5 * tb.divisor):
        tb.send([0x5A])
        for _ in range(tb.divisor):
            tb.line.pop()
        tb.level(0, tb.divisor + low)
        tb.level(1, 3)
        tb.send([0x3C])
        await tb.run([0x3C], lost=1)


@cocotb.test()
async def a_slow_sink_loses_bytes(dut: Any) -> None:
    """Of bytes that come while the sink is blocked the first is kept, and the others are counted."""
    tb = await started(dut)
    for count in (1, 2, 4):
        tb.pace(always, blocked(10 * tb.divisor * (count + 1)))
        data = tb.random.randbytes(count)
        tb.send(data)
        await tb.run(data[:1], lost=count - 1)
        tb.send(b"\x81")
        await tb.run(b"\x81")


@cocotb.test()
async def latency(dut: Any) -> None:
    """A byte is offered three cycles after the middle of its stop bit."""
    tb = await started(dut)
    begun = tb.cycle
    tb.send([0x42])
    await tb.run([0x42])
    middle = begun + 9 * tb.divisor + tb.divisor // 2
    assert tb.output.offered == [middle + 3]


@cocotb.test()
async def reset_in_mid_byte(dut: Any) -> None:
    """After a reset nothing is left of a byte that was arriving or on offer."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, blocked(10_000))
        tb.output.expected.append(0x77)
        tb.send([0x77])
        await tb.steps(tb.random.randint(1, 14 * tb.divisor))
        tb.line.clear()
        tb.dut.rx.value = 1
        await tb.reset()
        await tb.steps(4)
        tb.send([0x42])
        await tb.run([0x42])
