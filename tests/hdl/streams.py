"""Drive the streams of a core in amaranth.sim, with random pauses, and watch that the core keeps to the protocol."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from amaranth.hdl import Fragment
from amaranth.lib.wiring import Component
from amaranth.sim import Simulator

from tests.hdl.collisions import CollidingMemories

# Amaranth is untyped.
Testbench = Callable[[Any], Awaitable[None]]


@dataclass
class Testbench:
    """One run of a core.

    ``cycle`` is the number of the clock edge that the testbenches wait for.
    """

    __test__ = False  # nothing for pytest to collect
    core: Component
    seed: int
    limit: int = 4_000
    cycle: int = 0
    _testbenches: list[Testbench] = field(default_factory=list)
    _background: list[Testbench] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def add(self, testbench: Testbench) -> None:
        self._testbenches.append(testbench)

    def add_background(self, testbench: Testbench) -> None:
        """Add a testbench that the run does not wait for."""
        self._background.append(testbench)

    def run(self) -> None:
        # No core may look at a word that it reads while that is written.
        simulator = Simulator(Fragment.get(self.core, CollidingMemories()))
        simulator.add_clock(1e-6)
        for testbench in self._testbenches:
            simulator.add_testbench(testbench)
        for testbench in self._background:
            simulator.add_testbench(testbench, background=True)
        # Last, so that the testbenches of a cycle see its number before it changes.
        simulator.add_testbench(self._count, background=True)
        simulator.run()

    async def _count(self, ctx: Any) -> None:
        async for _ in ctx.tick():
            self.cycle += 1
            assert self.cycle < self.limit, f"not done after {self.limit} cycles, seed {self.seed}"

    def send(self, port: Any, words: Iterable[Mapping[str, Any]], rate: float = 1.0) -> list[int]:
        """Add a source; returns the list that will hold the cycle in which each word was accepted."""
        accepted: list[int] = []

        async def source(ctx: Any) -> None:
            async for _ in self.feed(ctx, port, words, rate):
                accepted.append(self.cycle)

        self.add(source)
        return accepted

    async def feed(
        self, ctx: Any, port: Any, words: Iterable[Mapping[str, Any]], rate: float = 1.0
    ) -> AsyncIterator[None]:
        """Send words from inside a testbench, yielding after each is accepted."""
        for word in words:
            while self.random.random() >= rate:
                await ctx.tick()
            for name, value in word.items():
                ctx.set(port.payload[name], value)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)
            yield

    def receive(self, port: Any, count: int, rate: float = 1.0) -> tuple[list[tuple[Any, ...]], list[int]]:
        """Add a sink of ``count`` words and ten idle cycles; returns what it got and when, filled by the run."""
        got: list[tuple[Any, ...]] = []
        cycles: list[int] = []
        fields = [port.payload[name] for name, _ in port.payload.shape()]

        async def sink(ctx: Any) -> None:
            held: tuple[Any, ...] | None = None
            idle = 0
            while idle < 10:
                ready = self.random.random() < rate
                ctx.set(port.ready, ready)
                _, _, valid, *values = await ctx.tick().sample(port.valid, *fields)
                word = tuple(list(v) if hasattr(v, "shape") else v for v in values)
                assert held is None or (valid and word == held), f"an offer was withdrawn, seed {self.seed}"
                held = word if valid and not ready else None
                if valid and ready:
                    got.append(word)
                    cycles.append(self.cycle)
                assert len(got) <= count, f"a word too many, seed {self.seed}: {got[-1]}"
                idle += len(got) == count

        self.add(sink)
        return got, cycles


def words_of(
    vectors: Sequence[Sequence[int]], lanes: int, name: str, last: Callable[[int], bool]
) -> list[dict[str, Any]]:
    """Cut vectors into words of ``lanes`` elements; ``last(i)`` says whether vector ``i`` ends with ``last``."""
    return [
        {name: vector[start : start + lanes], "last": int(start + lanes >= len(vector) and last(i))}
        for i, vector in enumerate(vectors)
        for start in range(0, len(vector), lanes)
    ]
