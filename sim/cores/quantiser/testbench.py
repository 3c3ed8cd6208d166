"""Testbench of the quantiser: every grid value, thresholds, throughput and latency against the golden model."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
import numpy as np

from ninefold.sim.golden.quantise import nits_of_grid
from ninefold.sim.testbench.fields import join, parameters, signed, split, word
from ninefold.sim.testbench.streams import PATTERNS, Source, Testbench, always, blocked, density
from ninefold.spec.formats import GRID_MAX, GRID_MIN, MODES, NIT_BITS, THRESHOLDS, Mode

__all__ = ["QuantiserTestbench"]

_GRID_BITS = 16
_GRID = range(GRID_MIN, GRID_MAX + 1)
_LATENCY = 5
#: The golden model's nit of every grid value, by the thresholds of its mode.
_TABLES: dict[tuple[int, ...], list[int]] = {
    THRESHOLDS[mode].reached_at: nits_of_grid(np.array(_GRID), mode).tolist() for mode in MODES
}


class QuantiserTestbench(Testbench):
    """The quantiser with a model that quantises each word, as it is accepted, by the thresholds of that moment."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.mode: Mode = given["mode"]
        self.lanes: int = given["lanes"]
        # Added first: a write holds for a word that is accepted in the same cycle.
        self.threshold: Source = self.source("threshold", self._write)
        self.values = self.source("values", self._accept)
        self.nits = self.sink("nits", self.describe)
        self.reset_thresholds()

    def describe(self, payload: int) -> list[int]:
        """Return the nits of a payload and its last."""
        *nits, last = split(payload, [NIT_BITS] * self.lanes + [1])
        return [*(signed(nit, NIT_BITS) for nit in nits), last]

    def reset_thresholds(self) -> None:
        """Set the model's thresholds as a reset sets the device's."""
        self._reached_at = list(THRESHOLDS[self.mode].reached_at)

    def _write(self, payload: int) -> None:
        index, value = split(payload, [2, 16])
        self._reached_at[index] = value

    def _accept(self, payload: int) -> None:
        *grid, last = split(payload, [_GRID_BITS] * self.lanes + [1])
        table = _TABLES.get(tuple(self._reached_at))
        values = [signed(value, _GRID_BITS) for value in grid]
        nits = [self._counted(g) if table is None else table[g - GRID_MIN] for g in values]
        self.nits.expected.append(word(nits, NIT_BITS, last))

    def _counted(self, value: int) -> int:
        """Return the nit of a grid value by thresholds that no mode has."""
        reached = sum(abs(value) >= threshold for threshold in self._reached_at)
        return -reached if value < 0 else reached

    async def restart(self) -> None:
        """Reset the device and the model."""
        await self.reset()
        self.reset_thresholds()

    def send(self, grids: Iterable[Sequence[int]]) -> None:
        """Queue words of grid values, each with a random last."""
        self.values.send(word(grid, _GRID_BITS, self.random.getrandbits(1)) for grid in grids)

    def send_each(self, values: Iterable[int]) -> None:
        """Queue words so that each of the values passes through every lane, beside random ones."""
        for value in values:
            for lane in range(self.lanes):
                grid = self.random_grid()
                grid[lane] = value
                self.send([grid])

    def random_grid(self) -> list[int]:
        """Return one word of values, half of them close to a threshold."""
        return [
            self.random.choice(_GRID)
            if self.random.getrandbits(1)
            else _clip(
                self.random.choice((-1, 1)) * (self.random.choice(self._reached_at) + self.random.randint(-1, 1))
            )
            for _ in range(self.lanes)
        ]

    def write(self, *thresholds: tuple[int, int]) -> None:
        """Queue threshold writes, each (index, value)."""
        self.threshold.send(join([(index, 2), (value, 16)]) for index, value in thresholds)

    def around(self) -> list[int]:
        """Return the values close to the current thresholds, and those close to 0 and to the ends of the grid."""
        near = [t + d for t in (0, *self._reached_at) for d in (-1, 0, 1)]
        ends = [GRID_MIN, GRID_MIN + 1, GRID_MAX - 1, GRID_MAX]
        return [*ends, *(_clip(sign * value) for value in near for sign in (1, -1))]


def _clip(value: int) -> int:
    return max(GRID_MIN, min(GRID_MAX, value))


async def started(dut: Any) -> QuantiserTestbench:
    """Return a testbench with the device reset."""
    tb = QuantiserTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """Values on both sides of every threshold, with the outcome written by hand."""
    tb = await started(dut)
    reached = THRESHOLDS[tb.mode].reached_at
    by_hand = {0: 0, 1: 0, -1: 0, GRID_MAX: 4, GRID_MIN: -4}
    for nit, threshold in enumerate(reached, start=1):
        by_hand |= {threshold: nit, threshold - 1: nit - 1, -threshold: -nit, 1 - threshold: 1 - nit}
    for value, nit in by_hand.items():
        for last in (0, 1):
            tb.values.send([word([value] * tb.lanes, _GRID_BITS, last)])
            while tb.values.words:
                await tb.step()
            assert tb.nits.expected[-1] == word([nit] * tb.lanes, NIT_BITS, last), "the model is wrong"
    await tb.finish()


@cocotb.test()
async def every_grid_value(dut: Any) -> None:
    """All 65,536 values in every lane, after reset, at one word a cycle."""
    tb = await started(dut)
    # Odd strides: lanes see the values in different orders, neighbours are far apart, and each sees every value.
    strides = [40503 + 2 * tb.random.randrange(10000) for _ in range(tb.lanes)]
    tb.send([(n * stride) % len(_GRID) for stride in strides] for n in range(len(_GRID)))
    await tb.finish()
    assert tb.values.bubbles == 0, f"{tb.values.bubbles} bubbles at the input"
    assert tb.nits.bubbles == 0, f"{tb.nits.bubbles} bubbles at the output"


@cocotb.test()
async def thresholds_of_every_mode(dut: Any) -> None:
    """The thresholds of each mode, written over the reset values, at every value that they distinguish."""
    tb = await started(dut)
    for mode in (*MODES, *reversed(MODES)):
        tb.write(*enumerate(THRESHOLDS[mode].reached_at))
        await tb.finish()
        tb.send_each(tb.around())
        await tb.finish()


@cocotb.test()
async def written_thresholds(dut: Any) -> None:
    """Each register alone at each power of two and at the ends of its range; thresholds that do not ascend."""
    tb = await started(dut)
    for index in range(4):
        await tb.restart()
        for value in (0, 1, *(1 << bit for bit in range(1, 16)), 32767, 32769, 65535):
            tb.write((index, value))
            await tb.finish(settle=1)
            tb.send_each([_clip(s * (value + d)) for d in (-1, 0, 1) for s in (1, -1)])
            await tb.finish(settle=1)
    for thresholds in ((4000, 3000, 2000, 1000), (700, 700, 700, 700), (0, 65535, 0, 65535)):
        tb.write(*enumerate(thresholds))
        await tb.finish()
        tb.send_each(tb.around())
        await tb.finish()


@cocotb.test()
async def a_write_divides_the_words_at_its_cycle(dut: Any) -> None:
    """A write in the midst of traffic: it holds for the word accepted in its cycle and not for the one before."""
    tb = await started(dut)
    for offered, taken in itertools.product((always, density(0.5)), (always, density(0.4), blocked(60))):
        tb.pace(offered, taken)
        tb.threshold.pace(density(0.3))
        for _ in range(60):
            tb.write((tb.random.randrange(4), tb.random.choice((0, 500, 3000, 20000, 65535))))
        tb.send([tb.random.choice((-1, 1)) * tb.random.choice((300, 700, 10000, 30000))] * tb.lanes
                   for _ in range(250))  # fmt: skip
        await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Runs of several lengths under each pattern of the source crossed with each of the sink."""
    tb = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        for length in (1, 3, 6, 7, 30):
            tb.send(tb.random_grid() for _ in range(length))
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def random_words(dut: Any) -> None:
    """Random words, patterns and threshold writes, all changing in mid-stream."""
    tb = await started(dut)
    patterns = list(PATTERNS.values())
    for _ in range(40):
        tb.pace(tb.random.choice(patterns), tb.random.choice(patterns))
        if tb.random.getrandbits(1):
            tb.write((tb.random.randrange(4), tb.random.getrandbits(16)))
        tb.send(tb.random_grid() for _ in range(tb.random.randint(1, 40)))
        await tb.steps(tb.random.randint(1, 120))
    await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A word is offered five cycles after its acceptance, alone or in a stream."""
    tb = await started(dut)
    for length in (1, 2, 20):
        await tb.restart()
        tb.send(tb.random_grid() for _ in range(length))
        await tb.finish()
        taken = [out - entered for entered, out in zip(tb.values.accepted, tb.nits.offered, strict=True)]
        assert taken == [_LATENCY] * length, f"{taken} cycles, not {_LATENCY}"


@cocotb.test()
async def full_rate_returns_after_a_stall(dut: Any) -> None:
    """A blocked sink stops the input after a few words; once released, words pass at one a cycle again."""
    tb = await started(dut)
    tb.pace(always, blocked(100))
    tb.send(tb.random_grid() for _ in range(200))
    await tb.steps(100)
    assert not tb.values.ready, "words are still accepted after 100 blocked cycles"
    assert len(tb.values.accepted) >= _LATENCY, "fewer words enter than are under way at full rate"
    await tb.finish()
    late = tb.nits.accepted[20:]
    assert late[-1] - late[0] + 1 == len(late), "the output does not come back to one word a cycle"


@cocotb.test()
async def reset_in_mid_stream(dut: Any) -> None:
    """After a reset nothing is left of words in flight, and the thresholds are the mode's."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.write(*((index, tb.random.getrandbits(16)) for index in range(4)))
        tb.send(tb.random_grid() for _ in range(30))
        await tb.steps(tb.random.randint(4, 25))
        await tb.restart()
        await tb.steps(tb.random.choice([0, 30]))
        tb.send_each(tb.random.sample(tb.around(), 3))
        await tb.finish(settle=1)
    await tb.finish()
