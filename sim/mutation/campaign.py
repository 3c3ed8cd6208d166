"""Campaigns: mutants of a core run against its testbench, and survivors checked by a proof of equivalence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib.metadata import version

from ninefold.sim.mutation import equivalence
from ninefold.sim.mutation.netlist import Netlist, device, lines_of, ports_of
from ninefold.sim.mutation.sample import Mutant, Sample
from ninefold.sim.mutation.subjects import Subject
from ninefold.sim.mutation.trials import MORE, SEED, TIMES, Trials, judges_of
from ninefold.sim.mutation.workers import workers
from ninefold.sim.simulators import find_simulator
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

__all__ = ["Campaign", "Status", "Verdict"]

#: Mutants per simulator run: enough to share its start, few enough to run in parallel.
_BATCH = 40


class Status(StrEnum):
    """Status of a mutant."""

    #: A test failed.
    KILLED = "killed"
    #: No test failed, and a proof shows that none can.
    EQUIVALENT = "equivalent"
    #: No test failed, without a proof, and without a difference in a number of cycles after reset.
    BOUNDED = "bounded"
    #: No test failed, and a legal input distinguishes the mutant from its core.
    SURVIVED = "survived"


@dataclass(frozen=True)
class Verdict:
    """Verdict on a mutant, with its place in the sources.

    Attributes
    ----------
    mutant : Mutant
        Mutant.
    place : str
        Source line of its cell, as ``hdl/cores/topk.py:58``.
    status : Status
        Status of the mutant.
    detail : str
        Test that killed it, with its message; for other mutants, the number of cycles with or without a difference.
    cpu_s : float
        Processor time, in seconds.
    """

    mutant: Mutant
    place: str
    status: Status
    detail: str
    cpu_s: float

    def __str__(self) -> str:
        """Return the verdict as a line of text."""
        mutant = f"{self.mutant.number:3} {self.mutant.signal} {self.mutant.kind}"
        return f"{mutant}, {self.place or 'no line'}: {self.status}, {self.detail}"


class Campaign:
    """Campaign of all mutants of a core against its testbench. Verdicts are cached by digest as they come.

    Parameters
    ----------
    subject : Subject
        Core.
    netlist : Netlist
        Netlist of the core.
    sample : Sample
        Mutants of the core.
    testbench : str, optional
        Module of the tests; the core's testbench by default.

    Raises
    ------
    UnavailableError
        A simulator or Yosys is not installed.
    """

    def __init__(self, subject: Subject, netlist: Netlist, sample: Sample, testbench: str | None = None) -> None:
        self.subject, self.netlist, self.sample = subject, netlist, sample
        testbench = testbench or subject.testbench
        self._options = [mutant.options for mutant in sample.mutants]
        self._places = lines_of(netlist)
        simulator = find_simulator("verilator")
        tools = [simulator.name, simulator.version, version("cocotb")]
        judges = [path.read_text() for path in judges_of(testbench)]
        if subject.golden is not None:
            judges.append(subject.golden.read_text())
        digest = digest_of(netlist.digest, self._options, dict(subject.parameters), judges, tools, SEED, TIMES, MORE)
        folder = BuildCache("mutation-verdicts").get(digest, lambda _: None)
        self._trials = Trials(subject.name, subject.given, subject.parameters, testbench, simulator, folder)

    def run(self, numbers: Iterable[int] | None = None, at_once: int = 1) -> Iterator[Verdict]:
        """Judge mutants, starting with those that have verdicts.

        Parameters
        ----------
        numbers : iterable of int, optional
            Numbers of mutants in the sample, from 1; all by default.
        at_once : int
            Number of simulators in parallel.

        Raises
        ------
        InputError
            The sample has no such mutant, or the testbench fails on the core itself.
        ToolError
            A tool failed.
        """
        wanted = {mutant.number: mutant for mutant in self.sample.mutants}
        for number in numbers or ():
            if number not in wanted:
                raise InputError(f"mutant must be from 1 to {len(wanted)}, not {number}")
        chosen = list(wanted if numbers is None else dict.fromkeys(numbers))
        pending = [number for number in chosen if not self._trials.path(number).exists()]
        later = []
        for number in chosen:
            if number in pending:
                continue
            if self._killed(number):
                yield self._verdict(wanted[number])
            else:
                later.append(number)
        if pending:
            with step(f"running the tests of {self.subject.name} without a fault"):
                self._trials.reference(self._design)
        batches = [pending[start : start + _BATCH] for start in range(0, len(pending), _BATCH)]
        jobs = [*batches, *([number] for number in later)]
        if at_once == 1:
            for job in jobs:
                yield from self._judge(job)
            return
        with workers(at_once) as pool:
            for done in as_completed([pool.submit(self._judge, job) for job in jobs]):
                yield from done.result()

    def simulated(self, numbers: Iterable[int] | None = None) -> int:
        """Return the number of mutants tested so far; `numbers` as in `run`."""
        chosen = set(numbers) if numbers is not None else {mutant.number for mutant in self.sample.mutants}
        return sum(self._trials.path(number).exists() for number in chosen)

    @cached_property
    def _design(self) -> str:
        return device(self.netlist, self._options)

    def _killed(self, number: int) -> bool:
        return json.loads(self._trials.path(number).read_text())["killed"] is not None

    def _judge(self, numbers: Sequence[int]) -> list[Verdict]:
        """Run the testbench on untested mutants, and return the verdicts on all."""
        self._trials.run(self._design, numbers)
        return [self._verdict(self.sample.mutants[number - 1]) for number in numbers]

    def _verdict(self, mutant: Mutant) -> Verdict:
        found = json.loads(self._trials.path(mutant.number).read_text())
        place = self._places.get(mutant.cell, "")
        cpu_s = sum(float(test["cpu_s"]) for test in found["tests"])
        if found["killed"] is not None:
            detail = f"{found['killed']}: {found['tests'][-1]['message']}"
            return Verdict(mutant, place, Status.KILLED, detail, cpu_s)
        ports = [port for port in ports_of(self._design) if port.name != "mutant"]
        assumed = self.subject.assumptions
        shown = equivalence.compare(self.netlist, ports, mutant, assumed.legal, large=assumed.large)
        crashed = [test["test"] for test in found["tests"] if test["crashed"]]
        crashes = f"; {', '.join(crashed)} ended without a verdict" if crashed else ""
        status, detail = {
            equivalence.Relation.EQUAL: (Status.EQUIVALENT, "proved for all cycles"),
            equivalence.Relation.BOUNDED: (Status.BOUNDED, f"no difference in {shown.cycles} cycles"),
            equivalence.Relation.DIFFERENT: (Status.SURVIVED, f"differs in cycle {shown.cycles}"),
        }[shown.relation]
        return Verdict(mutant, place, status, detail + crashes, cpu_s + shown.cpu_s)
