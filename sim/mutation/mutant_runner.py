"""Runs of a testbench on many mutants inside one simulator, with a process for each test and mutant.

cocotb imports this module as a testbench. Python, the testbench and the design are loaded then, and simulated time has
not begun, so a fork of the process is a fresh simulation, isolated from other mutants. The process of a test gets its
own folder, which selects the active mutant, and offers cocotb that one test.
"""

from __future__ import annotations

import atexit
import importlib
import json
import logging
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ninefold.sim.mutation.netlist import INDEX_FILE
from ninefold.sim.testbench.fields import PERIOD_NS

__all__ = ["VARIABLE", "Judge"]

#: Environment variable with the name of the file with the orders.
VARIABLE = "NINEFOLD_MUTANTS"
#: Processor time after which a test is considered to hang within a cycle.
_CPU_S = 300
_NO_RESULTS = "<testsuites/>\n"


class Judge:
    """Runner of tests on mutants that writes their verdicts.

    Parameters
    ----------
    orders : mapping
        ``testbench``: module of the tests; ``folder``: where simulations run; ``verdicts``: folder that gets a file for
        each mutant; ``tests``: names of tests, with the cycles after which each has failed; ``mutants``: numbers.
    """

    def __init__(self, orders: dict[str, Any]) -> None:
        self._testbench = importlib.import_module(orders["testbench"])
        self._folder = Path(orders["folder"])
        self._verdicts = Path(orders["verdicts"])
        self._tests: dict[str, int] = orders["tests"]
        self._mutants: list[int] = orders["mutants"]

    def run(self) -> str | None:
        """Run the mutants; return None at the end, and in each fork the name of the test to run."""
        for mutant in self._mutants:
            verdict: dict[str, Any] = {"mutant": mutant, "killed": None, "tests": []}
            for test, cycles in self._tests.items():
                folder = self._folder / f"{mutant}-{test}"
                folder.mkdir()
                child = os.fork()
                if child == 0:
                    self._begin(folder, mutant, test, cycles)
                    return test
                _, status, used = os.wait4(child, 0)
                outcome = _outcome(folder, status, cycles)
                verdict["tests"].append({**outcome, "test": test, "cpu_s": used.ru_utime + used.ru_stime})
                if not outcome["passed"] and mutant:
                    verdict["killed"] = test
                    break
            # An interrupted run leaves only complete files.
            written = self._folder / f"{mutant}.json"
            written.write_text(json.dumps(verdict))
            shutil.move(written, self._verdicts / f".{mutant}.json")
            (self._verdicts / f".{mutant}.json").rename(self._verdicts / f"{mutant}.json")
        return None

    def _begin(self, folder: Path, mutant: int, test: str, cycles: int) -> None:
        """Make this fork the simulation of one mutant."""
        os.chdir(folder)
        Path(INDEX_FILE).write_text(f"{mutant:x}\n")
        os.environ["COCOTB_RESULTS_FILE"] = str(folder / "results.xml")
        logging.disable(logging.CRITICAL)
        # Verilator would wait for a thread that the fork lacks; cocotb ends Python once results are written.
        atexit.register(os._exit, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
        getattr(self._testbench, test).timeout = (cycles * PERIOD_NS, "ns")


def _outcome(folder: Path, status: int, limit: int) -> dict[str, Any]:
    """Read the verdict of a test: passed, failed with a message, or crashed without a verdict."""
    results = folder / "results.xml"
    if status or not results.exists():
        return {"passed": True, "crashed": True, "message": f"the simulation ended with status {status}", "cycles": 0}
    case = next(ElementTree.parse(results).getroot().iter("testcase"))  # noqa: S314 - cocotb wrote it just now
    problem = next(iter([*case.findall("failure"), *case.findall("error")]), None)
    time = next((p.get("value", "0") for p in case.iter("property") if p.get("name") == "sim_time_duration"), "0")
    cycles = round(float(time) / PERIOD_NS)
    said = "" if problem is None else (problem.get("message") or "").strip().partition("\n")[0]
    if problem is not None and not said:
        said = f"not done in {limit} cycles" if cycles >= limit else "failed"
    return {"passed": problem is None, "crashed": False, "message": said, "cycles": cycles}


def _main() -> None:
    orders = json.loads(Path(os.environ[VARIABLE]).read_text())
    judge = Judge(orders)
    test = judge.run()
    if test is None:
        Path(os.environ["COCOTB_RESULTS_FILE"]).write_text(_NO_RESULTS)
        sys.stdout.flush()
        os._exit(0)
    globals()[test] = getattr(importlib.import_module(orders["testbench"]), test)


if VARIABLE in os.environ:
    _main()
