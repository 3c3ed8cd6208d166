"""The mutants of a core through the tests of its bench, and those that survive through a proof of equivalence."""

from __future__ import annotations

import ast
import importlib.util
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from ninefold.sim.mutation import equivalence
from ninefold.sim.mutation.catalogue import Subject
from ninefold.sim.mutation.forked import VARIABLE
from ninefold.sim.mutation.netlist import Netlist, device, lines_of, ports_of
from ninefold.sim.mutation.sample import Mutant, Sample
from ninefold.sim.simulators import find_simulator
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError, ToolError
from ninefold.spec.progress import step

__all__ = ["MORE", "TIMES", "Campaign", "Status", "Verdict"]

_SEED = 1
#: Cycles that a test may take on a mutant: so many times those it takes on the core, and more than a bench waits for
#: a transfer.
TIMES, MORE = 4, 6000
_UNBOUNDED = 10_000_000
#: Mutants that one simulator goes through: enough to share its start, and few enough to spread.
_BATCH = 40
#: What verdicts hang on beside the netlist.
_JUDGES = ("ninefold.sim.benches", "ninefold.sim.golden", "ninefold.spec")


class Status(StrEnum):
    """What became of a mutant."""

    #: A test of the bench failed.
    KILLED = "killed"
    #: No test failed, and a proof shows that none can.
    EQUIVALENT = "equivalent"
    #: No test failed, there is no proof, and no difference in some cycles after reset.
    BOUNDED = "bounded"
    #: No test failed, and a legal input tells the mutant from its core.
    SURVIVED = "survived"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, and where in the sources it is.

    Attributes
    ----------
    mutant : Mutant
        The mutant.
    place : str
        Line of the source that its cell comes from, as ``hdl/cores/topk.py:58``.
    status : Status
        What became of it.
    detail : str
        The test that killed it and what that said; of one that was not killed, in how many cycles it differs, or does
        not.
    cpu_s : float
        Processor time that it took.
    """

    mutant: Mutant
    place: str
    status: Status
    detail: str
    cpu_s: float

    def __str__(self) -> str:
        """Return a line for a reader."""
        mutant = f"{self.mutant.number:3} {self.mutant.signal} {self.mutant.kind}"
        return f"{mutant}, {self.place or 'no line'}: {self.status}, {self.detail}"


class Campaign:
    """All mutants of a core against its bench; verdicts are kept as they come, by digest.

    Parameters
    ----------
    subject : Subject
        The core.
    netlist : Netlist
        Its netlist.
    sample : Sample
        Its mutants.
    bench : str, optional
        Module of the tests, where that is not the core's bench.

    Raises
    ------
    UnavailableError
        A simulator or Yosys is not installed.
    """

    def __init__(self, subject: Subject, netlist: Netlist, sample: Sample, bench: str | None = None) -> None:
        self.subject, self.netlist, self.sample = subject, netlist, sample
        self._bench = bench or f"ninefold.sim.benches.{subject.core}"
        self._options = [mutant.options for mutant in sample.mutants]
        self._places = lines_of(netlist)
        self._simulator = find_simulator("verilator")
        tools = [self._simulator.name, self._simulator.version, version("cocotb")]
        judges = [path.read_text() for path in _sources_of(self._bench)]
        digest = digest_of(netlist.digest, self._options, dict(subject.parameters), judges, tools, _SEED, TIMES, MORE)
        self._folder = BuildCache("mutation-verdicts").get(digest, lambda _: None)

    def run(self, numbers: Iterable[int] | None = None, at_once: int = 1) -> Iterator[Verdict]:
        """Judge mutants, those first that were judged before.

        Parameters
        ----------
        numbers : iterable of int, optional
            Their places in the sample, from 1; all if not given.
        at_once : int
            Simulators at a time.

        Raises
        ------
        InputError
            The sample has no such mutant, or the bench fails on the core itself.
        ToolError
            A tool failed.
        """
        wanted = {mutant.number: mutant for mutant in self.sample.mutants}
        for number in numbers or ():
            if number not in wanted:
                raise InputError(f"mutant must be from 1 to {len(wanted)}, not {number}")
        chosen = list(wanted if numbers is None else dict.fromkeys(numbers))
        pending = [number for number in chosen if not self._path(number).exists()]
        later = []
        for number in chosen:
            if number in pending:
                continue
            if self._killed(number):
                yield self._verdict(wanted[number])
            else:
                later.append(number)
        if pending:
            with step(f"running the tests of {self.subject.core} without a fault"):
                self._reference()
        batches = [pending[start : start + _BATCH] for start in range(0, len(pending), _BATCH)]
        jobs = [*batches, *([number] for number in later)]
        if at_once == 1:
            for job in jobs:
                yield from self._judge(job)
            return
        # A fork of a process that shows its progress by a thread may wait for that for ever.
        with ProcessPoolExecutor(at_once, get_context("spawn")) as pool:
            try:
                for done in as_completed([pool.submit(self._judge, job) for job in jobs]):
                    yield from done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def simulated(self, numbers: Iterable[int] | None = None) -> int:
        """Return how many of the mutants have been through the tests so far; `numbers` as `run` takes them."""
        chosen = set(numbers) if numbers is not None else {mutant.number for mutant in self.sample.mutants}
        return sum(self._path(number).exists() for number in chosen)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.json"

    def _killed(self, number: int) -> bool:
        return json.loads(self._path(number).read_text())["killed"] is not None

    def _judge(self, numbers: Sequence[int]) -> list[Verdict]:
        """Run the bench on the mutants that have not been through it, and return the verdicts on all."""
        pending = [number for number in numbers if not self._path(number).exists()]
        if pending:
            limits = {test: TIMES * cycles + MORE for test, cycles in self._reference().items()}
            self._simulate(pending, limits, self._folder)
        return [self._verdict(self.sample.mutants[number - 1]) for number in numbers]

    def _verdict(self, mutant: Mutant) -> Verdict:
        found = json.loads(self._path(mutant.number).read_text())
        place = self._places.get(mutant.cell, "")
        cpu_s = sum(float(test["cpu_s"]) for test in found["tests"])
        if found["killed"] is not None:
            detail = f"{found['killed']}: {found['tests'][-1]['message']}"
            return Verdict(mutant, place, Status.KILLED, detail, cpu_s)
        ports = [port for port in ports_of(device(self.netlist, self._options)) if port.name != "mutant"]
        shown = equivalence.compare(self.netlist, ports, mutant, self.subject.legal, large=self.subject.large)
        crashed = [test["test"] for test in found["tests"] if test["crashed"]]
        crashes = f"; {', '.join(crashed)} ended without a verdict" if crashed else ""
        status, detail = {
            equivalence.Relation.EQUAL: (Status.EQUIVALENT, "proved for ever"),
            equivalence.Relation.BOUNDED: (Status.BOUNDED, f"no difference in {shown.cycles} cycles"),
            equivalence.Relation.DIFFERENT: (Status.SURVIVED, f"differs in cycle {shown.cycles}"),
        }[shown.relation]
        return Verdict(mutant, place, status, detail + crashes, cpu_s + shown.cpu_s)

    def _reference(self) -> dict[str, int]:
        """Return the tests of the bench and the cycles that each takes on the core, the shortest first."""
        path = self._path(0)
        if not path.exists():
            self._simulate([0], dict.fromkeys(_tests_of(self._bench), _UNBOUNDED), self._folder)
        tests = json.loads(path.read_text())["tests"]
        wrong = [f"{test['test']}: {test['message']}" for test in tests if not test["passed"] or test["crashed"]]
        if wrong:
            path.unlink()
            raise InputError(f"the bench of {self.subject.core} fails on the core itself, in {wrong[0]}")
        return {test["test"]: test["cycles"] for test in sorted(tests, key=lambda test: int(test["cycles"]))}

    def _simulate(self, numbers: Sequence[int], limits: dict[str, int], verdicts: Path) -> None:
        from ninefold.sim.benches.fields import VARIABLE as PARAMETERS

        built = self._simulator.build(device(self.netlist, self._options))
        with tempfile.TemporaryDirectory(prefix="ninefold-mutants-") as name:
            orders = {
                "bench": self._bench,
                "folder": name,
                "verdicts": str(verdicts),
                "tests": limits,
                "mutants": list(numbers),
            }
            file = Path(name) / "orders.json"
            file.write_text(json.dumps(orders))
            variables = {VARIABLE: str(file), PARAMETERS: json.dumps(dict(self.subject.parameters))}
            self._simulator.run(built, "ninefold.sim.mutation.forked", _SEED, variables=variables)
        missing = [number for number in numbers if not (verdicts / f"{number}.json").exists()]
        if missing:
            raise ToolError(f"the simulator left no verdict on mutants {', '.join(map(str, missing))}")


def _tests_of(bench: str) -> list[str]:
    tree = ast.parse(_file_of(bench).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    return [node.name for node in functions if any("cocotb.test" in ast.unparse(d) for d in node.decorator_list)]


def _sources_of(module: str) -> list[Path]:
    """Return the source of a module and of those of the judges that it imports, near or far."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _file_of(name)
        for node in ast.walk(ast.parse(found[name].read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_JUDGES):
                waiting.append(str(node.module))
    return [found[name] for name in sorted(found)]


def _file_of(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise InputError(f"there is no bench {module}")
    return Path(spec.origin)
