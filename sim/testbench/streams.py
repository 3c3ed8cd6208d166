"""Clock, sources and sinks of a testbench, which drive and check streams on every cycle."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from ninefold.sim.testbench.fields import PERIOD_NS

__all__ = ["PATTERNS", "Pattern", "Pulses", "Sink", "Source", "Testbench", "always", "blocked", "bursts", "density"]

#: Generator of the cycles on which a source may start an offer, or a sink is ready.
Pattern = Callable[[Random], Iterator[bool]]

#: Number of cycles without a transfer after which a testbench has hung.
_PATIENCE = 5000


def always(_random: Random) -> Iterator[bool]:
    """Every cycle."""
    return repeat(True)


def density(chance: float) -> Pattern:
    """Return the pattern in which each cycle is used with the given probability."""

    def pattern(random: Random) -> Iterator[bool]:
        while True:
            yield random.random() < chance

    return pattern


def bursts(longest_on: int, longest_off: int) -> Pattern:
    """Return the pattern of alternating runs and pauses, each of at most the given number of cycles."""

    def pattern(random: Random) -> Iterator[bool]:
        while True:
            yield from repeat(True, random.randint(1, longest_on))
            yield from repeat(False, random.randint(1, longest_off))

    return pattern


def blocked(cycles: int) -> Pattern:
    """Return the pattern that is blocked for a number of cycles and then always ready."""

    def pattern(_random: Random) -> Iterator[bool]:
        return chain(repeat(False, cycles), repeat(True))

    return pattern


#: Patterns that testbenches cross with one another and with sizes.
PATTERNS: dict[str, Pattern] = {
    "always": always,
    "nine tenths": density(0.9),
    "half": density(0.5),
    "one tenth": density(0.1),
    "bursts": bursts(12, 12),
    "long stalls": bursts(60, 90),
    "blocked, then released": blocked(150),
}


class Source:
    """Source of words for an input stream of the device; it holds each offer until it is accepted.

    While nothing is offered, the payload is random, or unknown (X) in four-state simulators. This reveals a device that
    uses it.

    Attributes
    ----------
    words : deque of int
        Payloads still to be accepted, in order.
    accepted : list of int
        The cycle in which each word was accepted.
    """

    def __init__(self, dut: Any, name: str, random: Random, on_accept: Callable[[int], None]) -> None:
        self.words: deque[int] = deque()
        self.accepted: list[int] = []
        self._on_accept = on_accept
        self._random = random
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        # A stream that is always ready may have no port for it.
        self._ready = getattr(dut, f"{name}__ready", None)
        self._knows_unknown = cocotb.SIM_NAME.startswith("Icarus")
        self._shown = True
        self._offers = False
        self.pace(always)
        self.drive()

    def send(self, words: Iterable[int]) -> None:
        """Queue words."""
        self.words.extend(words)

    def pace(self, pattern: Pattern) -> None:
        """Offer words by a pattern from now on."""
        self._pattern = pattern(self._random)

    def clear(self) -> None:
        """Withdraw everything; only for a reset, because an offer must otherwise be stable."""
        self.words.clear()
        self.accepted.clear()
        self._offers = False

    def drive(self) -> None:
        """Set the ports for the cycle that begins."""
        if self._offers:
            return
        if next(self._pattern) and self.words:
            self._offers = self._shown = True
            self._payload.value = self.words[0]
            self._valid.value = 1
        elif self._shown:
            self._shown = False
            bits = self._random.getrandbits(len(self._payload))
            self._payload.value = "X" * len(self._payload) if self._knows_unknown else bits
            self._valid.value = 0

    def sample(self, cycle: int) -> bool:
        """Look at the ports at the end of a cycle; returns whether a word was accepted."""
        if not self._offers or (self._ready is not None and not int(self._ready.value)):
            return False
        self._offers = False
        self.accepted.append(cycle)
        self._on_accept(self.words.popleft())
        return True

    @property
    def offers(self) -> bool:
        """True if an offered word has not been accepted."""
        return self._offers

    @property
    def ready(self) -> bool:
        """True if the device is ready at the end of the cycle."""
        return self._ready is None or bool(int(self._ready.value))

    @property
    def bubbles(self) -> int:
        """Cycles without a transfer between the first transfer and the last."""
        return self.accepted[-1] - self.accepted[0] + 1 - len(self.accepted)


class Sink:
    """Sink for an output stream of the device, which compares each word with the next expected one.

    It checks on every cycle that an offer is stable until it is accepted.

    Attributes
    ----------
    expected : deque of int
        Payloads still to come, in order. A word that comes before it is expected is a fault.
    accepted : list of int
        The cycle in which each word was accepted.
    offered : list of int
        The first cycle in which each word was offered.
    """

    def __init__(self, dut: Any, name: str, random: Random, describe: Callable[[int], object]) -> None:
        self.expected: deque[int] = deque()
        self.accepted: list[int] = []
        self.offered: list[int] = []
        self._name = name
        self._random = random
        self._describe = describe
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._held: int | None = None
        self._is_ready: bool | None = None
        self.pace(always)
        self.drive()

    def pace(self, pattern: Pattern) -> None:
        """Accept words by a pattern from now on."""
        self._pattern = pattern(self._random)

    def clear(self) -> None:
        """Expect nothing; only for a reset."""
        self.expected.clear()
        self.accepted.clear()
        self.offered.clear()
        self._held = None

    def drive(self) -> None:
        """Set the port for the cycle that begins."""
        ready = next(self._pattern)
        if ready != self._is_ready:
            self._is_ready = ready
            self._ready.value = int(ready)

    def sample(self, cycle: int) -> bool:
        """Look at the ports at the end of a cycle; returns whether a word was accepted."""
        valid = int(self._valid.value)
        if not valid:
            assert self._held is None, f"{self._name}: {self._describe(self._held or 0)} was withdrawn"
            return False
        word = int(self._payload.value)
        if self._held is None:
            self._judge(word)
            self.offered.append(cycle)
            self._held = word
        changed = f"{self._name}: {self._describe(self._held)} became {self._describe(word)}"
        assert word == self._held, f"{changed} while it was offered"
        if not self._is_ready:
            return False
        self._held = None
        self.expected.popleft()
        self.accepted.append(cycle)
        return True

    def _judge(self, word: int) -> None:
        place = f"{self._name}, word {len(self.accepted)}"
        assert self.expected, f"{place}: {self._describe(word)}, where nothing was due"
        wanted = self.expected[0]
        assert word == wanted, f"{place}: {self._describe(word)}, where {self._describe(wanted)} was due"

    @property
    def bubbles(self) -> int:
        """Cycles without a transfer between the first transfer and the last."""
        return self.accepted[-1] - self.accepted[0] + 1 - len(self.accepted)


class Pulses:
    """Counter of the cycles in which a one-bit output is high.

    Attributes
    ----------
    count : int
        Number of cycles since the last reset.
    """

    def __init__(self, dut: Any, name: str) -> None:
        self.count = 0
        self._port = getattr(dut, name)

    def clear(self) -> None:
        """Count from 0 again."""
        self.count = 0

    def sample(self) -> None:
        """Look at the port at the end of a cycle."""
        self.count += int(self._port.value)


class Testbench:
    """Testbench: a device with its clock, reset and streams.

    All streams are sampled at each rising edge, with the values before it, and driven right after it.

    Attributes
    ----------
    random : Random
        Source of all stimuli, seeded with the seed of the run and the name of the test.
    cycle : int
        Number of the next rising edge.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.random = Random(cocotb.RANDOM_SEED)
        self.cycle = 0
        self.sources: list[Source] = []
        self.sinks: list[Sink] = []
        self._pulses: list[Pulses] = []
        self._edge = RisingEdge(dut.clk)
        Clock(dut.clk, PERIOD_NS, unit="ns").start(start_high=False)

    def source(self, name: str, on_accept: Callable[[int], None]) -> Source:
        """Add a source; `on_accept`, the model, is called with each word that the device accepts.

        For words accepted in the same cycle, the calls are in the order in which the sources were added.
        """
        self.sources.append(Source(self.dut, name, self.random, on_accept))
        return self.sources[-1]

    def sink(self, name: str, describe: Callable[[int], object]) -> Sink:
        """Add a sink; `describe` makes a payload readable."""
        self.sinks.append(Sink(self.dut, name, self.random, describe))
        return self.sinks[-1]

    def pulses(self, name: str) -> Pulses:
        """Count the cycles in which an output is high."""
        self._pulses.append(Pulses(self.dut, name))
        return self._pulses[-1]

    def pace(self, source: Pattern, sink: Pattern) -> None:
        """Set the patterns of all sources and of all sinks."""
        for stream in self.sources:
            stream.pace(source)
        for port in self.sinks:
            port.pace(sink)

    async def reset(self, cycles: int = 2) -> None:
        """Discard pending words, assert reset for some cycles, and continue at full rate."""
        self.dut.rst.value = 1
        streams: tuple[Source | Sink, ...] = (*self.sources, *self.sinks)
        for stream in streams:
            stream.clear()
        self.pace(always, always)
        for stream in streams:
            stream.drive()
        for _ in range(cycles):
            await self._edge
        self.dut.rst.value = 0
        for port in self._pulses:
            port.clear()

    async def step(self) -> bool:
        """Simulate one cycle, and return True if any stream transferred a word."""
        streams: tuple[Source | Sink, ...] = (*self.sinks, *self.sources)
        for stream in streams:
            stream.drive()
        await self._edge
        # Sinks come first: a result in the cycle of its cause would be a path through the whole device.
        moved = False
        for stream in streams:
            moved |= stream.sample(self.cycle)
        for port in self._pulses:
            port.sample()
        self.cycle += 1
        return moved

    async def steps(self, cycles: int) -> None:
        """Simulate some cycles."""
        for _ in range(cycles):
            await self.step()

    async def finish(self, settle: int = 40) -> None:
        """Run until every word is sent and every expected word has come, then check that nothing follows.

        Parameters
        ----------
        settle : int
            Number of further cycles, with every sink ready.
        """
        idle = 0
        while any(s.words for s in self.sources) or any(s.expected for s in self.sinks):
            idle = 0 if await self.step() else idle + 1
            assert idle < _PATIENCE, f"nothing has moved for {idle} cycles, with {self._outstanding()}"
        for sink in self.sinks:
            sink.pace(always)
        await self.steps(settle)

    def _outstanding(self) -> str:
        to_send = sum(len(s.words) for s in self.sources)
        due = sum(len(s.expected) for s in self.sinks)
        return f"{to_send} words still to be sent and {due} still due"
