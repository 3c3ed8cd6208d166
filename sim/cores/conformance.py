"""Conformance of another party's core: every part that it has is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ninefold.hdl.catalogue import find_core
from ninefold.sim.conformance.suite import Verdict
from ninefold.sim.cores import has_part, part_of
from ninefold.spec.errors import InputError

__all__ = ["conform_core"]

#: Seed of testbench and vectors, and numbers of vectors and of operations after them.
_SEED: Final = 1
_VECTORS: Final = 12
_STEPS: Final = 16
#: Levels that need no synthesis.
_LEVELS: Final = ("golden", "cpu", "rtl")


def conform_core(name: str, board: str = "") -> Iterator[Verdict]:
    """Run testbench, vectors and proofs of a core at its small parameters, and yield a verdict for each part.

    Parameters
    ----------
    name : str
        Name or path of the core.
    board : str
        Board whose answers to the vectors are judged too: a URL, or the name of one to simulate; empty for none.

    Raises
    ------
    InputError
        There is no such core or board.
    """
    find_core(name)
    for part, run in _PARTS.items():
        if has_part(name, part):
            flaws: dict[str, str] = {}
            number = run(name, board, flaws)
            yield Verdict(part, number, flaws)
        else:
            try:
                part_of(name, part)
            except InputError as error:
                yield Verdict(part, 0, reason=str(error))


def _testbench(name: str, _board: str, flaws: dict[str, str]) -> int:
    from ninefold.sim.simulation import simulate

    report = simulate(name, find_core(name).core.compared, seed=_SEED, folder=Path.cwd())
    flaws |= {test.name: test.message or "failed" for test in report.outcomes if not test.passed}
    return len(report.outcomes)


def _vectors(name: str, board: str, flaws: dict[str, str]) -> int:
    from ninefold.sim.levels import Setup, compare
    from ninefold.sim.levels.cases import case_of

    case = case_of(name, {}, _VECTORS, _SEED, _STEPS)
    ran = 0
    setup = Setup(Path.cwd(), f"conform-{Path(name).stem}", board)
    for result in compare(case, setup, (*_LEVELS, "board") if board else _LEVELS):
        ran += result.status != "not run"
        if (found := result.divergence) is not None:
            place = f"{found.place.operator}, {found.place.vector}, element {found.place.element}"
            flaws[f"level {result.level}"] = f"{place}: {found.value} is {found.found}, not {found.expected}"
        elif result.status == "differs" or (result.level == "board" and result.status == "not run"):
            flaws[f"level {result.level}"] = result.detail
    return ran


def _proof(name: str, _board: str, flaws: dict[str, str]) -> int:
    from ninefold.sim.formal import prove
    from ninefold.sim.formal.catalogue import proofs_of

    tasks = [(proof, task) for proof in proofs_of(name) for task in proof.tasks]
    for proof, task in tasks:
        outcome = prove(proof, task)
        if not outcome.passed:
            flaws[task.name] = "; ".join(outcome.problems) or "failed"
    return len(tasks)


#: Function of each part: adds flaws by name, and returns the number of tests, levels or tasks that ran.
_PARTS: Final[dict[str, Callable[[str, str, dict[str, str]], int]]] = {
    "testbench": _testbench,
    "vectors": _vectors,
    "proof": _proof,
}
