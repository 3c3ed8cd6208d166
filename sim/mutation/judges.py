"""Judges of faults at comparisons: the proofs and the benches of the cores in which a comparison is elaborated."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ninefold.hdl.elaborate import rtlil, verilog
from ninefold.sim.cores import tested
from ninefold.sim.formal import Method, Proof, Task
from ninefold.sim.formal.catalogue import proofs
from ninefold.sim.formal.prover import solve
from ninefold.sim.formal.variants import failing, select_input
from ninefold.sim.mutation.comparisons import Planted, faults_of, planted, selectable, watched
from ninefold.sim.mutation.netlist import INDEX_BITS, selected
from ninefold.sim.mutation.subjects import Subject, subject_of, subjects
from ninefold.sim.mutation.trials import MORE, SEED, TIMES, Trials, code_of, judges_of
from ninefold.sim.simulators import find_simulator
from ninefold.spec.cache import BuildCache, digest_of

__all__ = ["JUDGES", "TOGETHER", "Judge", "ProofJudge", "TestbenchJudge"]


#: Largest number of faults of a core to prove in one design. With more, as of the executor, the solver takes hours.
TOGETHER = 100
#: Testbenches at other parameters. A counter of three words or beats does not wrap around by itself, the last word of a
#: full store may have all its rows, a search may go on after two groups, and rows may fill the rest of the selection.
_OTHERS = tuple(
    replace(subject_of(core), parameters=parameters)
    for core, parameters in (
        ("similarity", {"dimensions": 6, "lanes": 2, "depth": 3}),
        ("sign_engine", {"dimensions": 12, "lanes": 4, "depth": 3, "width": 2, "passes": 2}),
        ("sign_engine", {"dimensions": 4, "lanes": 8, "depth": 4, "width": 2, "passes": 2}),
        ("threshold_select", {"dimensions": 3, "keep": 2, "rows": 4, "depth": 14}),
    )
)


class Judge(ABC):
    """Something that fails on a core with a fault, and the core that it is about.

    Attributes
    ----------
    name : str
        Kind, core and, of a proof, its task: ``proof topk selection``, ``cover topk selection``, ``testbench topk``.
    """

    name: str

    @abstractmethod
    def text(self) -> str:
        """Return the core, with what is asked of it where that is part of it, as RTLIL."""

    @abstractmethod
    def asked(self) -> Sequence[object]:
        """Return what verdicts depend on beside the text and the tools."""

    @abstractmethod
    def fails(self, faults: Iterable[Planted]) -> dict[Planted, str]:
        """Return the faults on which it fails, each planted alone, with what it says of each.

        Raises
        ------
        UnavailableError
            A tool is not installed.
        ToolError
            A tool failed.
        """

    @cached_property
    def _elaborated(self) -> tuple[frozenset[Planted], str]:
        with watched() as found:
            text = self.text()
        faults = frozenset(Planted(at, fault) for at in found.comparisons for fault in faults_of(at))
        return faults, re.sub(r"^\s*attribute \\src .*\n", "", text, flags=re.MULTILINE)

    @property
    def faults(self) -> frozenset[Planted]:
        """All faults at comparisons of its core."""
        return self._elaborated[0]

    @property
    def digest(self) -> str:
        """Digest of the core and of what is asked of it; verdicts hold while it stays."""
        return digest_of(self._elaborated[1], *self.asked())


class ProofJudge(Judge):
    """A task of a proof.

    Parameters
    ----------
    proof : Proof
        The proof.
    task : Task
        Its assertions, or its cover statements.
    """

    def __init__(self, proof: Proof, task: Task) -> None:
        self._proof, self._task = proof, task
        self.method, self.covers = task.method, task.method is Method.COVER
        self.name = f"{'cover' if self.covers else 'proof'} {proof.core} {proof.name}"

    def text(self) -> str:
        """Return core and specification."""
        return self._proof.rtlil()

    def asked(self) -> Sequence[object]:
        """Return method and depth."""
        return [self._task.method, self._task.depth]

    @property
    def large(self) -> bool:
        """True if the core has too many faults for one design."""
        return len(self.faults) > TOGETHER

    def fails(self, faults: Iterable[Planted]) -> dict[Planted, str]:
        """Ask the solver for all faults in one design; cover statements and large cores get one fault after another."""
        if self.covers or self.large:
            return {fault: said for fault in faults if (said := self.alone(fault)) is not None}
        numbers = {fault: number for number, fault in enumerate(sorted(faults), 1)}
        select = select_input()
        with selectable(numbers, select):
            text = self._proof.rtlil(inputs=[select])
        failed = failing(text, numbers.values(), self._task.method, self._task.depth)
        return {fault: "an assertion" for fault, number in numbers.items() if number in failed}

    def alone(self, fault: Planted) -> str | None:
        """Do the task on the core with one fault, by SymbiYosys; returns what fails, or None."""
        with planted(fault):
            text = self.text()
        outcome = solve(text, self._task.method, self._task.depth)
        return None if outcome.passed else "; ".join(outcome.problems)


class TestbenchJudge(Judge):
    """The testbench of a core: all faults are in one design, which is built once.

    Parameters
    ----------
    subject : Subject
        The core.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._testbench = subject.testbench
        self.name = f"testbench {subject.core}"
        if subject in _OTHERS:
            self.name += "".join(f" {name} {value}" for name, value in subject.parameters.items())

    def text(self) -> str:
        """Return the core."""
        return rtlil(self._core())

    def asked(self) -> Sequence[object]:
        """Return the sources of the testbench, and how it is run."""
        sources = [code_of(path) for path in judges_of(self._testbench)]
        return [sources, dict(self._subject.parameters), SEED, TIMES, MORE]

    def fails(self, faults: Iterable[Planted]) -> dict[Planted, str]:
        """Run the testbench on the core with each fault, until a test fails."""
        numbers = {fault: self._numbers[fault] for fault in faults}
        trials = self._trials
        trials.run(self._design, list(numbers.values()))
        found = {fault: json.loads(trials.path(number).read_text()) for fault, number in numbers.items()}
        return {
            fault: f"{one['killed']}: {one['tests'][-1]['message']}"
            for fault, one in found.items()
            if one["killed"] is not None
        }

    @cached_property
    def _numbers(self) -> Mapping[Planted, int]:
        return {fault: number for number, fault in enumerate(sorted(self.faults), 1)}

    @cached_property
    def _design(self) -> str:
        around = _Selected(self._core())
        with selectable(self._numbers, around.mutant):
            return selected(verilog(around, "device"))

    @cached_property
    def _trials(self) -> Trials:
        core, simulator = self._subject.core, find_simulator("verilator")
        key = digest_of(self.digest, list(map(str, self._numbers)), simulator.name, simulator.version)
        folder = BuildCache("comparison-verdicts").get(key, lambda _: None)
        return Trials(core, self._subject.given, self._subject.parameters, self._testbench, simulator, folder)

    def _core(self) -> Any:
        return tested(self._subject.core, self._subject.parameters)


class _Selected(wiring.Component):
    """A core, and an input that says which fault is alive in it."""

    def __init__(self, core: Any) -> None:
        self._core = core
        super().__init__({**dict(core.signature.members), "mutant": In(INDEX_BITS)})

    def elaborate(self, _platform: object) -> Module:
        """Connect the core."""
        m = Module()
        m.submodules.core = self._core
        for name, member in self._core.signature.members.items():
            outer, inner = getattr(self, name), getattr(self._core, name)
            if not member.is_port:
                wiring.connect(m, wiring.flipped(outer), inner)
            elif member.flow is In:
                m.d.comb += inner.eq(outer)
            else:
                m.d.comb += outer.eq(inner)
        return m


def _all() -> list[Judge]:
    tasks = [ProofJudge(proof, task) for found in proofs().values() for proof in found for task in proof.tasks]
    return [*tasks, *map(TestbenchJudge, [*subjects().values(), *_OTHERS])]


#: All judges by name.
JUDGES: Mapping[str, Judge] = MappingProxyType({one.name: one for one in _all()})
