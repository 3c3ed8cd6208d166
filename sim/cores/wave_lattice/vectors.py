"""Vectors of the wave lattice: lattices after some steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from ninefold.hdl.cores.wave_lattice import Operation, WaveLattice
from ninefold.sim.golden.wave_step_fixed import Coefficients, advance
from ninefold.sim.levels.case import Case, Place, Reading, Record
from ninefold.sim.levels.script import Due, Script
from ninefold.sim.verilated.streams import streams_of
from ninefold.spec.operators.wave_step_fixed import LATTICE, OPERATOR
from ninefold.spec.registry import backend
from ninefold.spec.residents import load_and_run

__all__ = ["case"]

_SETS = (Operation.SET_A, Operation.SET_B, Operation.SET_C, Operation.SET_T)
_MOST = 2**17 - 1
_Rows = list[list[int]]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: a lattice for each vector, and a sequence of operations after them."""
    return _WaveCase(parameters, seed).case(vectors, steps)


class _WaveCase:
    """Case of a core that holds one lattice."""

    def __init__(self, parameters: Mapping[str, Any], seed: int) -> None:
        self._given = parameters
        self._width, self._height = parameters["width"], parameters["height"]
        made = WaveLattice(**parameters)
        self._cycles = made.step_cycles
        self._script = Script({stream.name: stream for stream in streams_of(made)}, seed)
        self._random = self._script.random
        self._count = 0
        self._factors: Coefficients = (0, 0, 0, 0)
        self._psi: _Rows = []
        self._v: _Rows = []
        self._computed: list[tuple[Callable[[], Sequence[Record]], Sequence[Place]]] = []

    def case(self, vectors: int, steps: int) -> Case:
        """Return the case."""
        # A lattice has many cells, each of which is compared.
        for _ in range(-(-vectors // (self._width * self._height))):
            self._run(sets=True, loads=True, steps=1)
        operations: Mapping[str, Callable[[], None]] = {
            "a lattice": lambda: self._run(sets=True, loads=True, steps=self._script.some(0, 3)),
            "more steps": lambda: self._run(steps=self._script.some(1, 3)),
            "other coefficients": lambda: self._run(sets=True, steps=1),
            "a read again": self._run,
            "a reset within a step": self._reset,
        }
        self._script.play(steps, operations)
        return Case(
            lambda: WaveLattice(**self._given),
            self._script.steps,
            self._script.read,
            vectors,
            self._processor,
            operations=self._script.operations,
            patience=10_000 + 4 * self._cycles,
        )

    def _reset(self) -> None:
        commands, load = self._asked(sets=True, loads=True, steps=2)
        self._script.step({"command": commands, "load": load}, {}, broken_off=True)
        self._factors = (0, 0, 0, 0)
        self._run(loads=True, steps=1, reset=True)

    def _run(self, *, sets: bool = False, loads: bool = False, steps: int = 0, reset: bool = False) -> None:
        """Add a step of the script: commands that end with a read of all cells."""
        if not self._psi:
            loads = True
        commands, load = self._asked(sets=sets, loads=loads, steps=steps)
        before, factors = (self._psi, self._v), self._factors
        for _ in range(steps):
            self._psi, self._v = advance(self._psi, self._v, factors)
        rows: list[Record] = [{"psi": psi, "v": v} for psi, v in zip(chain(*self._psi), chain(*self._v), strict=True)]
        places = self._script.places("wave_step_fixed", f"lattice {self._count}", len(rows))
        self._count += 1
        due: Due = [([place], row) for place, row in zip(places, rows, strict=True)]
        if steps:
            self._computed.append((partial(_compute, before, factors, steps), places))
        self._script.step({"command": commands, "load": load}, {"cells": due}, reset=reset)

    def _asked(self, *, sets: bool, loads: bool, steps: int) -> tuple[list[Record], list[Record]]:
        """Return commands and cells, and note their effect, without the steps."""
        commands: list[Record] = []
        load: list[Record] = []
        if sets:
            a, b, c, t = self._random.integers(-_MOST - 1, _MOST, 4, endpoint=True).tolist()
            self._factors = a, b, c, t
            named = zip(_SETS, self._factors, strict=True)
            commands += [{"operation": int(which), "value": value} for which, value in named]
        if loads:
            top = int(self._random.choice([2**20, 2**25, 2**28, 2**31 - 1]))
            cells = self._random.integers(-top, top, (2, self._height, self._width), endpoint=True)
            self._psi, self._v = cells.tolist()
            commands.append({"operation": int(Operation.LOAD), "value": 0})
            load = [{"psi": psi, "v": v} for psi, v in cells.reshape(2, -1).T.tolist()]
        if steps:
            commands.append({"operation": int(Operation.STEP), "value": steps})
        commands.append({"operation": int(Operation.READ), "value": 0})
        return commands, load

    def _processor(self) -> Reading:
        """Compute the lattices on the processor."""
        return {
            place: values for compute, places in self._computed for place, values in zip(places, compute(), strict=True)
        }


def _compute(lattice: tuple[_Rows, _Rows], factors: Coefficients, steps: int) -> list[Record]:
    arrays = {name: np.array(rows, np.int32) for name, rows in zip(("psi", "v"), lattice, strict=True)}
    options = {"steps": steps, **dict(zip("ABCT", factors, strict=True))}
    device = backend("cpu").open()
    try:
        answer = load_and_run(device, OPERATOR.bind({"state": LATTICE.state("lattice", arrays)}, options))
    finally:
        device.close()
    made: Any = answer.state
    pairs = zip(made.arrays["psi"].ravel().tolist(), made.arrays["v"].ravel().tolist(), strict=True)
    return [{"psi": psi, "v": v} for psi, v in pairs]
