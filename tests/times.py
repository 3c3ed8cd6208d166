"""Report of where the time of a test run went: a pytest plugin, and `make times`, which prints the report again.

Tools note the time that they take (`ninefold.spec.times`). The rest of the time of a test and its child processes is
Python. Tests that took long in the run that was kept (``tests/long.json``) begin first: no processor idles at the end.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from ninefold.spec.times import VARIABLE

ROOT = Path(__file__).parents[1]
#: Report of the last run, which `make times` reads.
LAST = ROOT / "build" / "times.json"
#: Tests that took long in a run from empty caches, with their seconds: `make times KEEP=1` writes it.
LONG = Path(__file__).with_name("long.json")
LONG_S = 1.5
PYTHON = "Python"
#: Start of a tool's name -> the kind that it counts as.
KINDS = {
    "c++": "compiling",
    "g++": "compiling",
    "clang": "compiling",
    "compiler": "compiling",
    "verilator": "Verilator",
    "yosys-abc": "solver",
    "yosys": "Yosys",
    "yowasp": "nextpnr",
    "sby": "solver",
    "simulation": "simulation",
    "python": PYTHON,
}
#: Tests that are named for each kind.
SLOWEST = 3
#: Less is not shown.
LEAST_S = 0.1

Taken = dict[str, Any]


def kind_of(work: str) -> str:
    return next((kind for start, kind in KINDS.items() if work.startswith(start)), work)


def ordered(tests: Sequence[str], seconds: Mapping[str, float], workers: int) -> list[int]:
    """Return the places of tests in the order in which they are dealt: xdist gives each worker a run of them.

    Each worker begins with its part of the long ones, the longest first, and continues in the order of the files, so
    that tests that share a fixture stay together.
    """
    long = sorted((i for i, test in enumerate(tests) if test in seconds), key=lambda i: (-seconds[tests[i]], i))
    short = iter([i for i, test in enumerate(tests) if test not in seconds])
    order: list[int] = []
    left = len(tests)
    for worker in range(workers):
        count = left // (workers - worker)
        left -= count
        mine = long[worker::workers][:count]
        order += [*mine, *islice(short, count - len(mine))]
    dealt = set(order)
    return [*order, *(i for i in range(len(tests)) if i not in dealt)]


class Times:
    """The plugin: measures in each worker, and adds up where the results come together.

    Parameters
    ----------
    workers : int
        Processes that run tests.
    whole : bool
        Whether all tests run, so that the report may be kept.
    """

    def __init__(self, workers: int, whole: bool) -> None:
        self._workers, self._whole = workers, whole
        handle, self._notes = tempfile.mkstemp(prefix="ninefold-times-")
        os.close(handle)
        self._read = 0
        self._began = time.perf_counter(), _used_s()
        self._tests: list[Taken] = []
        self._start = time.perf_counter()

    def pytest_sessionstart(self) -> None:
        os.environ[VARIABLE] = self._notes

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        seconds = json.loads(LONG.read_text()) if LONG.exists() else {}
        items[:] = [items[i] for i in ordered([item.nodeid for item in items], seconds, self._workers)]

    def pytest_runtest_logstart(self) -> None:
        self._began = time.perf_counter(), _used_s()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Iterator[None]:
        report: Any = yield
        if call.when == "teardown":
            wall, cpu = self._began
            taken = {"wall_s": time.perf_counter() - wall, "cpu_s": _used_s() - cpu, "work": self._noted()}
            report.user_properties.append(("times", taken))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._tests.append({"test": report.nodeid, **dict(report.user_properties)["times"]})

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        wall_s = time.perf_counter() - self._start
        found = {"wall_s": wall_s, "workers": self._workers, "whole": self._whole, "tests": self._tests}
        LAST.parent.mkdir(exist_ok=True)
        LAST.write_text(json.dumps(found))
        terminalreporter.write_sep("=", "where the time went")
        terminalreporter.write_line(summary(found))

    def pytest_unconfigure(self) -> None:
        Path(self._notes).unlink(missing_ok=True)

    def _noted(self) -> dict[str, float]:
        with Path(self._notes).open() as file:
            file.seek(self._read)
            lines = [json.loads(line) for line in file]
            self._read = file.tell()
        taken: Counter[str] = Counter()
        for line in lines:
            taken[kind_of(line["work"])] += line["cpu_s"]
        return dict(taken)


def _used_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def summary(found: Taken) -> str:
    """Return the processor time by kind, and the tests that took most of each."""
    by_kind: dict[str, Counter[str]] = {}
    for test in found["tests"]:
        work = {**test["work"], PYTHON: max(0.0, test["cpu_s"] - sum(test["work"].values()))}
        for kind, cpu_s in work.items():
            by_kind.setdefault(kind, Counter())[test["test"]] += cpu_s
    total = sum(counter.total() for counter in by_kind.values())
    available = found["wall_s"] * found["workers"]
    lines = [
        f"{found['wall_s']:.0f} s in {found['workers']} processes; the tests took {total:.0f} s of processor time, "
        f"{100 * total / available:.0f} % of that available"
    ]
    for kind, counter in sorted(by_kind.items(), key=lambda entry: -entry[1].total()):
        if counter.total() < LEAST_S:
            continue
        lines.append(f"{counter.total():7.1f} s {100 * counter.total() / total:3.0f} %  {kind}")
        lines += [f"{cpu_s:15.1f} s   {test}" for test, cpu_s in counter.most_common(SLOWEST) if cpu_s >= LEAST_S]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    try:
        found = json.loads(LAST.read_text())
        shown = summary(found)
    except FileNotFoundError:
        sys.exit(f"{LAST} is missing: `make test` writes it")
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{LAST} is damaged ({error!r}): `make test` writes it again")
    sys.stdout.write(shown + "\n")
    if "--keep" in arguments:
        if not found["whole"]:
            sys.exit("the last run was of some tests only, and is not kept")
        long = {test["test"]: round(test["wall_s"], 1) for test in found["tests"] if test["wall_s"] >= LONG_S}
        LONG.write_text(json.dumps(long, indent=1, sort_keys=True) + "\n")
        sys.stdout.write(f"{LONG}: {len(long)} tests of {LONG_S} s or more\n")


if __name__ == "__main__":
    main(sys.argv[1:])
