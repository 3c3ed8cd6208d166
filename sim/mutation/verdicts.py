"""Verdicts on faults at comparisons: the judge that fails on each fault, stored beside the mutants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from ninefold.sim.formal import Method
from ninefold.sim.mutation.comparisons import Comparison, Fault, Planted
from ninefold.sim.mutation.judges import JUDGES, Judge, ProofJudge
from ninefold.sim.mutation.reasons import REASONS
from ninefold.sim.mutation.workers import workers
from ninefold.spec.errors import InputError

__all__ = ["Judged", "Kept", "keep", "kept", "run"]

_FILE: Final = Path(__file__).with_name("comparisons.json")


class _Turn(IntEnum):
    """Kinds of judges, the fastest first."""

    PROOF = 0
    TESTBENCH = 1
    LARGE_PROOF = 2
    BOUNDED_PROOF = 3
    COVER = 4


#: Kinds of judges that are not asked about faults with a written reason. They take minutes to pass, which says no more.
_WAIVED: Final = (_Turn.BOUNDED_PROOF, _Turn.COVER)


@dataclass(frozen=True)
class Judged:
    """Verdict on a fault.

    Attributes
    ----------
    planted : Planted
        The fault.
    judge : str or None
        Name of the judge that fails; None if all pass.
    said : str
        Message of the judge.
    """

    planted: Planted
    judge: str | None
    said: str

    def __str__(self) -> str:
        """Return the verdict as a line of text."""
        return f"{self.planted}: {f'{self.judge} fails: {self.said}' if self.judge else 'nothing fails'}"


@dataclass(frozen=True)
class Kept:
    """Stored verdicts.

    Attributes
    ----------
    judges : mapping of str to str
        Digest of each judge that is named.
    verdicts : mapping of Planted to str or None
        The judge that fails on each fault.
    """

    judges: Mapping[str, str]
    verdicts: Mapping[Planted, str | None]


def run(faults: Iterable[Planted], at_once: int = 1) -> Iterator[Judged]:
    """Judge faults by proofs, testbenches and cover statements, the fastest first, until one fails.

    Parameters
    ----------
    faults : iterable of Planted
        The faults.
    at_once : int
        Number of processes in parallel.

    Raises
    ------
    UnavailableError
        A tool is not installed.
    ToolError
        A tool failed.
    """
    pending = set(faults)
    with workers(at_once) as pool:
        for judge in sorted(JUDGES.values(), key=_turn):
            waived = REASONS.keys() if _turn(judge)[0] in _WAIVED else frozenset()
            asked = sorted((pending - waived) & judge.faults)
            parts = [part for start in range(at_once) if (part := asked[start::at_once])]
            for done in as_completed([pool.submit(_ask, judge.name, part) for part in parts]):
                for fault, said in done.result().items():
                    pending.remove(fault)
                    yield Judged(fault, judge.name, said)
    for fault in sorted(pending):
        yield Judged(fault, None, "")


def _turn(judge: Judge) -> tuple[_Turn, int]:
    """Return the place of a judge: by its kind, then small cores first."""
    if not isinstance(judge, ProofJudge):
        return _Turn.TESTBENCH, len(judge.faults)
    if judge.method is Method.INDUCTION:
        return _Turn.LARGE_PROOF if judge.large else _Turn.PROOF, len(judge.faults)
    return _Turn.COVER if judge.covers else _Turn.BOUNDED_PROOF, len(judge.faults)


def _ask(name: str, faults: list[Planted]) -> dict[Planted, str]:
    return JUDGES[name].fails(faults)


def keep(judged: Iterable[Judged]) -> Path:
    """Store verdicts, together with earlier ones on other faults of unchanged judges, and return the file."""
    there = {fault for judge in JUDGES.values() for fault in judge.faults}
    before = kept() if _FILE.exists() else Kept({}, {})
    same = {None, *(name for name, digest in before.judges.items() if name in JUDGES and JUDGES[name].digest == digest)}
    verdicts = {fault: name for fault, name in before.verdicts.items() if name in same}
    verdicts |= {one.planted: one.judge for one in judged}
    verdicts = {fault: verdicts[fault] for fault in sorted(verdicts) if fault in there}
    names = sorted({name for name in verdicts.values() if name})
    lines: dict[str, dict[str, str | None]] = {}
    for fault, name in verdicts.items():
        lines.setdefault(str(fault.comparison), {})[fault.fault] = name
    text = [
        '"judges": {\n',
        ",\n".join(f"  {json.dumps(name)}: {json.dumps(JUDGES[name].digest)}" for name in names),
        '\n },\n "verdicts": {\n',
        ",\n".join(f"  {json.dumps(at)}: {json.dumps(found)}" for at, found in lines.items()),
        "\n }\n",
    ]
    _FILE.write_text("{\n " + "".join(text) + "}\n")
    return _FILE


def kept() -> Kept:
    """Return the stored verdicts.

    Raises
    ------
    InputError
        No verdicts are stored.
    """
    if not _FILE.exists():
        raise InputError("no verdicts are stored; `ninefold mutate all --comparisons --keep` judges all faults")
    found = json.loads(_FILE.read_text())
    verdicts = {
        Planted(Comparison.read(at), Fault(fault)): name
        for at, faults in found["verdicts"].items()
        for fault, name in faults.items()
    }
    return Kept(found["judges"], verdicts)
