"""Clock, sources and sinks of a bench: streams driven and watched on every cycle."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from ninefold.sim.benches.fields import PERIOD_NS

__all__ = ["PATTERNS", "Bench", "Pattern", "Pulses", "Sink", "Source", "always", "blocked", "bursts", "density"]

#: Makes the cycles on which a source may begin an offer, or a sink is ready.
Pattern = Callable[[Random], Iterator[bool]]

#: A bench that waits so many cycles without a transfer has hung.
_PATIENCE = 5000


def always(_random: Random) -> Iterator[bool]:
    """Every cycle."""
    return repeat(True)


def density(chance: float) -> Pattern:
    """Return the pattern in which each cycle is used with that chance."""

    def pattern(random: Random) -> Iterator[bool]:
        while True:
            yield random.random() < chance

    return pattern


def bursts(longest_on: int, longest_off: int) -> Pattern:
    """Return the pattern of uninterrupted runs and pauses, each up to that many cycles long."""

    def pattern(random: Random) -> Iterator[bool]:
        while True:
            yield from repeat(True, random.randint(1, longest_on))
            yield from repeat(False, random.randint(1, longest_off))

    return pattern


def blocked(cycles: int) -> Pattern:
    """Return the pattern that is blocked for so many cycles and then released for good."""

    def pattern(_random: Random) -> Iterator[bool]:
        return chain(repeat(False, cycles), repeat(True))

    return pattern


#: The patterns that the benches cross with one another and with sizes.
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
    """Offers words on an input stream of the device, and holds each offer until it is accepted.

    While nothing is offered the payload is random, or unknown (X) where the simulator knows that, so that a
    device that looks at it then is seen.

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
        # A stream that is always ready may have no port to say so.
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
        """Offer by a pattern from now on."""
        self._pattern = pattern(self._random)

    def clear(self) -> None:
        """Withdraw everything; only for a reset, since an offer must otherwise stand."""
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
        """Whether a word is on offer that was not accepted."""
        return self._offers

    @property
    def ready(self) -> bool:
        """Whether the device is ready, at the end of the cycle."""
        return self._ready is None or bool(int(self._ready.value))

    @property
    def bubbles(self) -> int:
        """Cycles without a transfer between the first transfer and the last."""
        return self.accepted[-1] - self.accepted[0] + 1 - len(self.accepted)


class Sink:
    """Accepts the words of an output stream of the device and compares each with the next one expected.

    On every cycle it checks that an offer stands unchanged until it is accepted.

    Attributes
    ----------
    expected : deque of int
        Payloads that must still come, in order. One that comes before it is expected is a fault.
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
        """Be ready by a pattern from now on."""
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
    """Counts the cycles in which an output of one bit is high.

    Attributes
    ----------
    count : int
        How many since the last reset.
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


class Bench:
    """A device with its clock, its reset and its streams.

    All streams are sampled at each rising edge, with the values before it, and driven right after it.

    Attributes
    ----------
    random : Random
        Seeded with the seed of the run and the name of the test: the source of every stimulus.
    cycle : int
        The number of the next rising edge.
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

        Of words that are accepted in one cycle, those of the source added first are told first.
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
        """Forget what is under way, hold the reset for some cycles, and go on at full pace."""
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
        """Simulate one cycle; returns whether any stream moved."""
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
        """Run until every word is sent and every expected word has come, then watch that nothing follows.

        Parameters
        ----------
        settle : int
            Cycles to go on, with every sink ready.
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
