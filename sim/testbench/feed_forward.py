"""Testbench of the cores that compute a function of each element, with the checks that all of them share."""

import itertools
from abc import ABC, abstractmethod
from typing import Any

from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["FunctionTestbench"]


class FunctionTestbench(Testbench, ABC):
    """A core with streams ``input`` and ``output``, and the model of its function.

    Parameters
    ----------
    dut : object
        The device, as cocotb gives it.
    latency : int
        Clock cycles from the acceptance of an element to its offer.
    """

    def __init__(self, dut: Any, latency: int) -> None:
        super().__init__(dut)
        self._latency = latency
        self.input = self.source("input", self._accept)
        self.output = self.sink("output", self.describe)

    @abstractmethod
    def model(self, word: int) -> int:
        """Return the payload of the output for a payload of the input."""

    @abstractmethod
    def draw(self) -> int:
        """Return a random payload of the input."""

    def describe(self, word: int) -> object:
        """Return a payload of the output for a reader."""
        return hex(word)

    def send(self, count: int) -> None:
        """Queue random elements."""
        self.input.send(self.draw() for _ in range(count))

    async def cross_sizes_with_back_pressure(self) -> None:
        """Send runs of several lengths under each pattern of the source crossed with each of the sink."""
        for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
            self.pace(offered, taken)
            for length in (1, 3, self._latency, self._latency + 2, 30):
                self.send(length)
            await self.finish(settle=1)
        await self.finish()

    async def measure_latency(self) -> None:
        """Check that an element is offered after the documented cycles, alone or in a stream of one a cycle."""
        for length in (1, 2, 3 * self._latency):
            await self.reset()
            self.send(length)
            await self.finish()
            taken = [out - entered for entered, out in zip(self.input.accepted, self.output.offered, strict=True)]
            assert taken == [self._latency] * length, f"{taken} cycles, not {self._latency}"
            assert self.input.bubbles == self.output.bubbles == 0

    async def stall_and_release(self) -> None:
        """Check that a blocked sink stops the input when the core is full, and returns to full rate."""
        for offered in (always, PATTERNS["half"], PATTERNS["bursts"]):
            await self.reset()
            self.pace(offered, blocked(200))
            self.send(200)
            await self.steps(190)
            assert len(self.input.accepted) == self._latency + 1, f"{len(self.input.accepted)} elements fill the core"
            self.input.pace(always)
            await self.finish()
            late = self.output.accepted[2 * self._latency :]
            assert late[-1] - late[0] + 1 == len(late), "the output does not come back to one element a cycle"

    async def reset_in_mid_stream(self) -> None:
        """Check that nothing is left after a reset of elements inside or on offer."""
        for _ in range(12):
            self.pace(always, self.random.choice([always, blocked(1000)]))
            self.send(2 * self._latency)
            await self.steps(self.random.randint(1, 3 * self._latency))
            await self.reset()
            await self.steps(self.random.choice([0, 2 * self._latency]))
            self.send(3)
            await self.finish(settle=1)
        await self.finish()

    def _accept(self, word: int) -> None:
        self.output.expected.append(self.model(word))
