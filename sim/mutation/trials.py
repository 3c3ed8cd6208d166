"""Trials: the tests of a testbench on many mutants of a core in one design, one of them active at a time."""

from __future__ import annotations

import ast
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ninefold.sim.mutation.mutant_runner import VARIABLE
from ninefold.sim.simulators import Simulator
from ninefold.sim.testbench.tests import named_tests
from ninefold.spec.errors import InputError, ToolError
from ninefold.spec.sources import sources_of

__all__ = ["MORE", "SEED", "TIMES", "Trials", "code_of", "judges_of"]

SEED: Final = 1
#: Limit on the cycles of a test on a mutant: a multiple of its cycles on the core, plus more than a testbench waits for
#: a transfer.
TIMES, MORE = 4, 6000
_UNBOUNDED = 10_000_000
#: Packages whose sources verdicts depend on, in addition to the netlist.
_JUDGES = ("ninefold.sim.cores", "ninefold.sim.own", "ninefold.sim.testbench", "ninefold.sim.golden", "ninefold.spec")


@dataclass(frozen=True)
class Trials:
    """Testbench and a design with mutants.

    Attributes
    ----------
    core : str
        Name of the core.
    given : str
        Its name or absolute path, by which the testbench finds it.
    parameters : mapping of str to Any
        Parameters of the core.
    testbench : str
        Module of the tests.
    simulator : Simulator
        Simulator that runs the tests.
    folder : Path
        Folder of the results, one JSON file per mutant, named by its number.
    """

    core: str
    given: str
    parameters: Mapping[str, Any]
    testbench: str
    simulator: Simulator
    folder: Path

    def path(self, number: int) -> Path:
        """Return the file on a mutant; 0 is the core itself."""
        return self.folder / f"{number}.json"

    def run(self, design: str, numbers: Sequence[int]) -> None:
        """Run the testbench on the mutants without results.

        Parameters
        ----------
        design : str
            Verilog that reads the number of the active mutant from a file; see
            `ninefold.sim.mutation.netlist.selected`.
        numbers : sequence of int
            Mutants, from 1 on.

        Raises
        ------
        InputError
            The testbench fails on the core itself.
        ToolError
            A tool failed.
        """
        pending = [number for number in numbers if not self.path(number).exists()]
        if pending:
            limits = {test: TIMES * cycles + MORE for test, cycles in self.reference(design).items()}
            self._simulate(design, pending, limits)

    def reference(self, design: str) -> dict[str, int]:
        """Return the tests and the cycles that each takes on the core, the shortest first."""
        path = self.path(0)
        if not path.exists():
            self._simulate(design, [0], dict.fromkeys(_named(self.testbench), _UNBOUNDED))
        tests = json.loads(path.read_text())["tests"]
        wrong = [f"{test['test']}: {test['message']}" for test in tests if not test["passed"] or test["crashed"]]
        if wrong:
            path.unlink()
            raise InputError(f"the testbench of {self.core} fails on the core itself, in {wrong[0]}")
        return {test["test"]: test["cycles"] for test in sorted(tests, key=lambda test: int(test["cycles"]))}

    def _simulate(self, design: str, numbers: Sequence[int], limits: dict[str, int]) -> None:
        from ninefold.sim.testbench.fields import CORE_VARIABLE
        from ninefold.sim.testbench.fields import VARIABLE as PARAMETERS

        built = self.simulator.build(design)
        with tempfile.TemporaryDirectory(prefix="ninefold-mutants-") as name:
            orders = {
                "testbench": self.testbench,
                "folder": name,
                "verdicts": str(self.folder),
                "tests": limits,
                "mutants": list(numbers),
            }
            file = Path(name) / "orders.json"
            file.write_text(json.dumps(orders))
            variables = {
                VARIABLE: str(file),
                PARAMETERS: json.dumps(dict(self.parameters)),
                CORE_VARIABLE: self.given,
            }
            self.simulator.run(built, "ninefold.sim.mutation.mutant_runner", SEED, variables=variables)
        missing = [number for number in numbers if not self.path(number).exists()]
        if missing:
            raise ToolError(f"the simulator left no verdict on mutants {', '.join(map(str, missing))}")


def judges_of(testbench: str) -> list[Path]:
    """Return the sources of a testbench and of all judges that it imports, directly or indirectly."""
    package = testbench.partition(".")[0]
    return sources_of([testbench], _JUDGES if package == "ninefold" else [*_JUDGES, package])


def code_of(path: Path) -> str:
    """Return the code of a module without comments and docstrings, which do not affect verdicts."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def _named(testbench: str) -> list[str]:
    names = list(named_tests(testbench))
    if not names:
        raise InputError(f"there is no testbench {testbench}")
    return names
