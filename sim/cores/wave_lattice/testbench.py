"""Testbench of the wave lattice: commands in order, cells bit for bit, and the cycles of a step."""

# ruff: noqa: D401 - the docstring of a test states what holds

import itertools
from collections.abc import Iterable
from typing import Any

import cocotb

from ninefold.hdl.cores.wave_lattice import Operation, WaveLattice
from ninefold.sim.golden.wave_step_fixed import advance
from ninefold.sim.testbench.fields import join, parameters, signed, split
from ninefold.sim.testbench.streams import PATTERNS, Testbench, always, blocked

__all__ = ["WaveTestbench"]

_BITS, _FACTOR_BITS = 32, 18
_LOW, _HIGH = -(2**31), 2**31 - 1
_MOST = 2**17 - 1
#: psi and v of a cell.
_Cell = tuple[int, int]


class WaveTestbench(Testbench):
    """The lattice with a model that executes each command when the device accepts it."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut)
        given = parameters()
        self.width: int = given["width"]
        self.height: int = given["height"]
        self.step_cycles = WaveLattice(**given).step_cycles
        self.command = self.source("command", self._execute)
        self.load = self.source("load", self._take)
        self.cells = self.sink("cells", self.describe)
        self.forget()

    @property
    def places(self) -> int:
        """Number of cells."""
        return self.width * self.height

    def describe(self, payload: int) -> _Cell:
        """Return psi and v of a payload."""
        psi, v = (signed(value, _BITS) for value in split(payload, (_BITS, _BITS)))
        return psi, v

    def forget(self) -> None:
        """Set the model to its state after a reset."""
        self.factors = [0, 0, 0, 0]
        self._lattice: list[_Cell] = []
        self._taken: list[_Cell] = []

    def _take(self, payload: int) -> None:
        self._taken.append(self.describe(payload))
        if len(self._taken) == self.places:
            self._lattice, self._taken = self._taken, []

    def _execute(self, payload: int) -> None:
        assert not self._taken, "a command is accepted in the midst of a load"
        operation, value = split(payload, (3, _FACTOR_BITS))
        value = signed(value, _FACTOR_BITS)
        if operation <= Operation.SET_T:
            self.factors[operation] = value
        elif operation == Operation.STEP:
            for _ in range(value):
                self._lattice = self._stepped()
        elif operation == Operation.READ:
            self.cells.expected.extend(join([(psi, _BITS), (v, _BITS)]) for psi, v in self._lattice)

    def _stepped(self) -> list[_Cell]:
        rows = [self._lattice[start : start + self.width] for start in range(0, self.places, self.width)]
        psi, v = ([[cell[i] for cell in row] for row in rows] for i in (0, 1))
        a, b, c, t = self.factors
        after = advance(psi, v, (a, b, c, t))
        return list(zip(itertools.chain(*after[0]), itertools.chain(*after[1]), strict=True))

    async def restart(self) -> None:
        """Reset the device and the model."""
        await self.reset()
        self.forget()

    def order(self, *commands: tuple[Operation | int, int]) -> None:
        """Queue commands with their values."""
        self.command.send(join([(operation, 3), (value, _FACTOR_BITS)]) for operation, value in commands)

    def set(self, a: int, b: int, c: int, t: int) -> None:
        """Queue commands that set the coefficients."""
        self.order(*zip((Operation.SET_A, Operation.SET_B, Operation.SET_C, Operation.SET_T), (a, b, c, t),
                        strict=True))  # fmt: skip

    def fill(self, cells: Iterable[_Cell]) -> None:
        """Queue a load of cells."""
        self.order((Operation.LOAD, 0))
        self.load.send(join([(psi, _BITS), (v, _BITS)]) for psi, v in cells)

    def step_and_read(self, steps: int = 1) -> None:
        """Queue steps and a read."""
        self.order((Operation.STEP, steps), (Operation.READ, 0))

    def random_cells(self) -> list[_Cell]:
        """Return cells of one magnitude, or at the ends of the range."""
        top = self.random.choice([3, 2**16, 2**24, 2**27, _HIGH])
        ends = (_LOW, _LOW + 1, -1, 0, 1, _HIGH - 1, _HIGH)

        def number() -> int:
            return self.random.choice(ends) if self.random.random() < 0.1 else self.random.randint(-top, top)

        return [(number(), number()) for _ in range(self.places)]

    def random_factors(self) -> tuple[int, int, int, int]:
        """Return coefficients: any, small, or at the ends of the range."""
        ranges = [(-_MOST - 1, _MOST), (-9, 9), (-_MOST - 1, -_MOST - 1), (_MOST, _MOST), (2**14, 2**16)]
        a, b, c, t = (self.random.randint(*self.random.choice(ranges)) for _ in range(4))
        return a, b, c, t


async def started(dut: Any) -> WaveTestbench:
    """Return a testbench with the device reset."""
    tb = WaveTestbench(dut)
    await tb.restart()
    return tb


@cocotb.test()
async def directed(dut: Any) -> None:
    """One raised cell, with the outcome written by hand: C = T = 1/2, so a quarter of the Laplacian is added."""
    tb = await started(dut)
    one = 1 << 24
    tb.set(0, 0, 1 << 15, 1 << 15)
    tb.fill([(one, 0), *[(0, 0)] * (tb.places - 1)])
    tb.step_and_read()
    while not tb.cells.expected:
        await tb.step()
    by_hand = [0] * tb.places
    by_hand[0] = -4
    for place in (1, tb.width - 1, tb.width, tb.places - tb.width):
        by_hand[place] += 1
    due = [((i == 0) * one + n * one // 4, n * one // 2) for i, n in enumerate(by_hand)]
    assert [tb.describe(word) for word in tb.cells.expected] == due, "the model disagrees with the values by hand"
    await tb.finish()


@cocotb.test()
async def loads_and_reads(dut: Any) -> None:
    """Cells come back as they were loaded, each bit of each cell, once and again."""
    tb = await started(dut)
    for bit in range(_BITS):
        tb.fill([(signed(1 << bit, _BITS), signed(~(1 << bit) & 0xFFFFFFFF, _BITS))] * tb.places)
        tb.order((Operation.READ, 0))
    tb.fill([(i, ~i) for i in range(tb.places)])
    tb.order((Operation.READ, 0), (Operation.READ, 0), (Operation.STEP, 0), (Operation.STEP, -1))
    tb.order((7, 5), (Operation.STEP, -_MOST - 1), (Operation.READ, 0))
    await tb.finish()


@cocotb.test()
async def neighbours(dut: Any) -> None:
    """One raised cell at each place, so that every pair of neighbours and every border is seen."""
    tb = await started(dut)
    tb.set(0, 0, _MOST, _MOST)
    for place in range(tb.places) if tb.places <= 64 else tb.random.sample(range(tb.places), 8):
        cells = [(0, 0)] * tb.places
        cells[place] = (1 << 20, 5)
        tb.fill(cells)
        tb.step_and_read()
    await tb.finish()


@cocotb.test()
async def each_bit_of_a_factor(dut: Any) -> None:
    """Each coefficient alone at each power of two and at the ends of its range."""
    tb = await started(dut)
    values = [0, 1, -1, *(1 << bit for bit in range(1, 17)), -(1 << 16), _MOST, -_MOST - 1]
    for which in range(4):
        for value in values:
            factors = [0, 0, 0, 1 << 16]
            factors[which] = value
            tb.set(factors[0], factors[1], factors[2], factors[3])
            tb.fill([(tb.random.randint(-(2**26), 2**26), tb.random.randint(-(2**26), 2**26))
                     for _ in range(tb.places)])  # fmt: skip
            tb.step_and_read()
        await tb.finish(settle=1)


@cocotb.test()
async def borders_of_saturation_and_rounding(dut: Any) -> None:
    """Sums and cubes at either side of each saturation, and ties of both signs with even and odd quotients."""
    tb = await started(dut)
    borders = (round(2**27.5), round(2 ** (24 + 7 / 3)), 2**30, _HIGH - 3)
    near = [sign * (border + d) for border in borders for d in range(-3, 4) for sign in (1, -1)]
    ties = [(2 * n + 1) << 15 for n in range(-9, 9)]
    for factors in ((0, 1 << 16, 0, 0), (0, -(1 << 16), 0, 1), (-(1 << 16), 0, 0, 1 << 16), (0, 0, _MOST, _MOST)):
        tb.set(*factors)
        for start in range(0, len(near), tb.places):
            values = (near[start : start + tb.places] + near)[: tb.places]
            tb.fill([(min(value, _HIGH), min(near[-1 - i], _HIGH)) for i, value in enumerate(values)])
            tb.step_and_read()
    for factors in ((1, 0, 0, 0), (0, 0, 0, 1), (-1, 0, 0, -1), (3, 0, 1, 3)):
        tb.set(*factors)
        for offset in range(-1, 2):
            tb.fill([(tb.random.choice(ties) * 2**8, tb.random.choice(ties) + offset) for _ in range(tb.places)])
            tb.step_and_read()
    await tb.finish()


@cocotb.test()
async def several_steps(dut: Any) -> None:
    """Steps in one command and in several give the same; a read between them changes nothing."""
    tb = await started(dut)
    for _ in range(4):
        tb.set(500, -3000, 1 << 15, 1 << 15)
        tb.fill([(tb.random.randint(-(2**24), 2**24), tb.random.randint(-(2**20), 2**20)) for _ in range(tb.places)])
        tb.step_and_read(3)
        tb.step_and_read(1)
        tb.order((Operation.STEP, 1), (Operation.STEP, 2))
        tb.step_and_read(1)
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def random_lattices(dut: Any) -> None:
    """Random cells, coefficients and numbers of steps, with commands that change coefficients between steps."""
    tb = await started(dut)
    for _ in range(40 if tb.places <= 16 else 4):
        tb.set(*tb.random_factors())
        if tb.random.random() < 0.7:
            tb.fill(tb.random_cells())
        elif not tb.load.accepted:
            continue
        tb.step_and_read(tb.random.choice([1, 1, 2]))
        tb.order((tb.random.randrange(4), tb.random.randint(-_MOST - 1, _MOST)))
        tb.step_and_read()
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def sizes_crossed_with_back_pressure(dut: Any) -> None:
    """Loads, steps and reads under each pattern of the sources crossed with each of the sink."""
    tb = await started(dut)
    for offered, taken in itertools.product(PATTERNS.values(), repeat=2):
        tb.pace(offered, taken)
        tb.set(*tb.random_factors())
        tb.fill(tb.random_cells())
        tb.order((Operation.READ, 0))
        tb.step_and_read()
        await tb.finish(settle=1)
    await tb.finish()


@cocotb.test()
async def latency(dut: Any) -> None:
    """A load and a read take a cycle for each cell, and a step the stated cycles."""
    tb = await started(dut)
    for steps in (1, 2, 5):
        tb.fill(tb.random_cells())
        tb.order((Operation.READ, 0), (Operation.STEP, steps), (Operation.READ, 0))
        await tb.finish()
        assert tb.load.bubbles == 0, f"{tb.load.bubbles} bubbles in a load"
        first, second = tb.cells.accepted[: tb.places], tb.cells.accepted[tb.places :]
        for read in (first, second):
            assert read[-1] - read[0] + 1 == tb.places, "a read has bubbles"
        step, after = tb.command.accepted[-2:]
        assert after - step == 1 + steps * tb.step_cycles, f"{after - step - 1} cycles for {steps} steps"
        assert second[0] - after == 2
        assert tb.command.accepted[-3] - tb.load.accepted[-1] == 1
        tb.load.accepted.clear()
        tb.cells.accepted.clear()


@cocotb.test()
async def reset_in_mid_command(dut: Any) -> None:
    """After a reset nothing is left of a load, a step, or a cell on offer; coefficients are 0."""
    tb = await started(dut)
    for _ in range(12):
        tb.pace(always, tb.random.choice([always, blocked(1000)]))
        tb.set(*tb.random_factors())
        tb.fill(tb.random_cells())
        tb.step_and_read(2)
        await tb.steps(tb.random.randint(1, 2 * tb.step_cycles + 3 * tb.places))
        await tb.restart()
        await tb.steps(tb.random.choice([0, 1, 40]))
        tb.fill(tb.random_cells())
        tb.step_and_read()
        await tb.finish(settle=1)
    await tb.finish()
