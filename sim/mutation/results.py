"""Kept results of the latest full run on each core's mutants."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ninefold.hdl.core import PARTS
from ninefold.sim.cores import folder_of
from ninefold.sim.mutation.campaign import Status, Verdict
from ninefold.spec.errors import InputError

__all__ = ["WANTED", "Results", "Survivor", "keep", "kept", "reached"]

#: Share of non-equivalent mutants that a testbench must kill.
WANTED = 0.95


@dataclass(frozen=True)
class Survivor:
    """Mutant that is neither killed nor proved equivalent.

    Attributes
    ----------
    number : int
        Its place in the sample.
    status : Status
        Bounded or survived.
    place, fault, detail : str
        Line of the source, signal and kind of mutation, and what is known of it.
    """

    number: int
    status: Status
    place: str
    fault: str
    detail: str


@dataclass(frozen=True)
class Results:
    """Results of all mutants of a core.

    Attributes
    ----------
    netlist : str
        Digest of the netlist.
    killed, equivalent : tuple of int
        Places in the sample.
    survivors : tuple of Survivor
        The others.
    cpu_s : float
        Processor time of tests and proofs.
    """

    netlist: str
    killed: tuple[int, ...]
    equivalent: tuple[int, ...]
    survivors: tuple[Survivor, ...]
    cpu_s: float


def reached(verdicts: Iterable[Verdict]) -> float:
    """Return the killed share of the mutants not proved equivalent; 1 if there are none."""
    count = Counter(verdict.status for verdict in verdicts)
    others = count.total() - count[Status.EQUIVALENT]
    return count[Status.KILLED] / others if others else 1.0


def keep(core: str, netlist: str, verdicts: Iterable[Verdict]) -> Path:
    """Keep the verdicts on all mutants of a core, and return the file."""
    found = sorted(verdicts, key=lambda verdict: verdict.mutant.number)
    by_status = {
        status: [verdict.mutant.number for verdict in found if verdict.status is status]
        for status in (Status.KILLED, Status.EQUIVALENT)
    }
    survivors = [
        {
            "number": verdict.mutant.number,
            "status": verdict.status,
            "place": verdict.place,
            "fault": f"{verdict.mutant.signal} {verdict.mutant.kind}",
            "detail": verdict.detail,
        }
        for verdict in found
        if verdict.status not in by_status
    ]
    lines = [
        f' "netlist": {json.dumps(netlist)}',
        f' "cpu_s": {sum(verdict.cpu_s for verdict in found):.0f}',
        *(f' "{status}": {json.dumps(numbers)}' for status, numbers in by_status.items()),
        f' "survivors": {json.dumps(survivors, indent=2)}',
    ]
    path = _path(core)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return path


def kept(core: str) -> Results:
    """Return the kept results of a core.

    Raises
    ------
    InputError
        No results are kept.
    """
    path = _path(core)
    if not path.exists():
        raise InputError(f"no results are kept of {core}; `ninefold mutate {core} --keep` makes some")
    found = json.loads(path.read_text())
    survivors = tuple(Survivor(**{**one, "status": Status(one["status"])}) for one in found["survivors"])
    return Results(found["netlist"], tuple(found["killed"]), tuple(found["equivalent"]), survivors, found["cpu_s"])


def _path(core: str) -> Path:
    return folder_of(core) / Path(PARTS["mutants"]).with_suffix(".json")
