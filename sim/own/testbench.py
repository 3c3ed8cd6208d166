"""Testbench of any core with a golden function: random and edge payloads, under random back-pressure on all streams."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

import cocotb
import numpy as np

from ninefold.sim.own.contract import Batch, Channel, Contract, contract_of
from ninefold.sim.own.stimulus import draw
from ninefold.sim.testbench.fields import CORE_VARIABLE, core, parameters
from ninefold.sim.testbench.streams import PATTERNS, Sink, Testbench, always, blocked

__all__ = ["OwnTestbench"]

_EDGES, _RANDOM, _SINGLE = 48, 400, 10
#: Payloads before and after each reset.
_CUT = 24


@cache
def _contract() -> Contract:
    """Return the contract of the core under test."""
    return contract_of(core(), parameters())


if CORE_VARIABLE in os.environ:
    # Made once for all forks of a run of mutants.
    _contract()


class _OwnSink(Sink):
    """Sink whose messages show the input of a wrong output."""

    def __init__(
        self, dut: Any, name: str, random: Random, describe: Callable[[int], object], cause: Callable[[int], str]
    ) -> None:
        self._cause = cause
        super().__init__(dut, name, random, describe)

    def _judge(self, word: int) -> None:
        try:
            super()._judge(word)
        except AssertionError as error:
            first, _, rest = str(error).partition("\n")
            raise AssertionError(f"{first}{self._cause(len(self.accepted))}\n{rest}") from None


class OwnTestbench(Testbench):
    """The core with its golden function, which is called for all payloads since a reset at once."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        self.drawn = np.random.default_rng(self.random.getrandbits(64))
        self._inputs: dict[str, Batch] = {}
        self._words: dict[str, list[int]] = {}
        self._due: dict[str, Any] = {}
        self._taken: dict[str, int] = {}
        for channel in _contract().inputs:
            self.source(channel.name, self._acceptance(channel.name))
        for channel in _contract().outputs:
            sink = _OwnSink(dut, channel.name, self.random, _describe(channel), self._cause(channel.name))
            self.sinks.append(sink)

    async def begin(self, count: int, *, edges: bool = False) -> None:
        """Reset the core, and draw payloads; `send` queues them."""
        await self.reset()
        self._inputs = draw(_contract(), self.drawn, count, edges=edges)
        answers = _contract().expected(self._inputs)
        self._words = {
            channel.name: _integers(channel, batch)
            for channel in _contract().channels
            for batch in [self._inputs.get(channel.name, answers.get(channel.name))]
            if batch is not None
        }
        self._due = {name: _contract().due(self._inputs, name, len(batch)).tolist() for name, batch in answers.items()}
        self._taken = dict.fromkeys([*self._inputs, *answers], 0)
        self._release()

    def send(self) -> None:
        """Queue all payloads."""
        self.send_part(0, max(map(len, self._inputs.values()), default=0))

    def packets(self) -> list[tuple[int, int]]:
        """Return the ranges of payloads that are sent as one: packets, or single payloads."""
        last = next((batch.last for batch in self._inputs.values() if batch.last is not None), None)
        if last is None:
            return [(at, at + 1) for at in range(min(map(len, self._inputs.values()), default=0))]
        ends = [0, *(np.flatnonzero(last) + 1).tolist()]
        return list(pairwise(ends))

    def send_part(self, start: int, stop: int) -> None:
        """Queue some payloads of each input."""
        for channel, source in zip(_contract().inputs, self.sources, strict=True):
            source.send(self._words[channel.name][start:stop])
        self._release()

    @property
    def one_for_one(self) -> bool:
        """True if each input payload is answered by one payload of each output."""
        length = len(next(iter(self._due.values()))) - 1
        return not _contract().packets and all(due == list(range(length + 1)) for due in self._due.values())

    @property
    def answered_in_parts(self) -> bool:
        """True if what a part of the payloads is answered by is known."""
        return _contract().packets or self.one_for_one

    def _acceptance(self, name: str) -> Callable[[int], None]:
        def accepted(_word: int) -> None:
            self._taken[name] += 1
            self._release()

        return accepted

    def _release(self) -> None:
        """Expect what the accepted payloads and the next one may be answered by: a core may pass it on at once."""
        taken = min((self._taken[channel.name] for channel in _contract().inputs), default=0)
        queued = max((len(source.words) for source in self.sources), default=0)
        for channel, sink in zip(_contract().outputs, self.sinks, strict=True):
            due = self._due[channel.name]
            until = due[min(taken + (queued > 0), len(due) - 1)]
            sink.expected.extend(self._words[channel.name][self._taken[channel.name] : until])
            self._taken[channel.name] = max(until, self._taken[channel.name])

    def _cause(self, _name: str) -> Callable[[int], str]:
        def cause(number: int) -> str:
            if not self.one_for_one or number >= len(self._due[_name]) - 1:
                return ""
            return ", for " + " ".join(
                channel.shown(self._inputs[channel.name], number) for channel in _contract().inputs
            )

        return cause


@cocotb.test()
async def edge_payloads(dut: Any) -> None:
    """Payloads at the edges of their ranges, at full speed."""
    tb = OwnTestbench(dut)
    await tb.begin(_EDGES, edges=True)
    tb.send()
    await tb.finish()


@cocotb.test()
async def random_back_pressure(dut: Any) -> None:
    """Random payloads, with pauses of all streams that change all the time."""
    tb = OwnTestbench(dut)
    await tb.begin(_RANDOM)
    tb.send()
    while any(source.words for source in tb.sources):
        # The last pattern never begins if it is drawn again and again.
        tb.pace(*(tb.random.choice([*list(PATTERNS.values())[:-1], blocked(40)]) for _ in range(2)))
        await tb.steps(tb.random.randint(20, 60))
    await tb.finish()


@cocotb.test()
async def one_at_a_time(dut: Any) -> None:
    """Each payload, or packet, alone: it is answered, after the declared latency, and nothing follows."""
    tb = OwnTestbench(dut)
    await tb.begin(_SINGLE)
    for start, stop in tb.packets():
        tb.send_part(start, stop)
        if tb.answered_in_parts:
            await tb.finish(settle=tb.random.randint(1, 8))
        else:
            await tb.steps(40)
    await tb.finish()
    if tb.one_for_one:
        _check_latency(tb)


def _check_latency(tb: OwnTestbench) -> None:
    for channel, sink in zip(_contract().outputs, tb.sinks, strict=True):
        declared = _contract().latency.get(channel.name)
        for number, cycle in enumerate(sink.offered):
            found = cycle - max(source.accepted[number] for source in tb.sources)
            assert declared is None or found == declared, (
                f"{channel.name}, word {number}: offered {found} cycles after its input was accepted, "
                f"where the latency is declared as {declared}"
            )


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """After a reset nothing of what came before is left."""
    tb = OwnTestbench(dut)
    for _ in range(4):
        await tb.begin(_CUT)
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.send()
        if _contract().resets:
            await tb.steps(tb.random.randint(1, _CUT))
        else:
            await tb.finish()
    await tb.begin(_CUT)
    tb.send()
    await tb.finish()


def _describe(channel: Channel) -> Callable[[int], str]:
    size = channel.stream.beat_bytes

    def describe(word: int) -> str:
        beat = np.frombuffer(word.to_bytes(size, "little"), np.uint8).reshape(1, size)
        return channel.shown(channel.batch(beat), 0)

    return describe


def _integers(channel: Channel, batch: Batch) -> list[int]:
    return [int.from_bytes(beat.tobytes(), "little") for beat in channel.beats(batch)]
