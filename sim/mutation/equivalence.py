"""Equivalence of a mutant and its core for every legal input: proved without bound, bounded, or refuted."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ninefold.hdl import yosys
from ninefold.sim.mutation.cutpoints import Cut, cutpoints_of
from ninefold.sim.mutation.miter import miter
from ninefold.sim.mutation.netlist import Netlist, Port, run_yosys
from ninefold.sim.mutation.sample import Mutant
from ninefold.spec.cache import BuildCache, digest_of

__all__ = ["Equivalence", "Relation", "compare"]

_DIFFERENT, _EQUAL = "snl_SAT", "snl_UNSAT"
# Most differences show early, and induction (`scorr`) proves most equivalent mutants by merging all differences. The
# others need an invariant or a long run.
_SEARCH, _PROOF, _LONG_SEARCH = "bmc3 -F 8 -T 20", "scorr; write_aiger merged.aig; pdr -T 60", "bmc3 -F 40 -T 60"
# Mutations of a register's output remove its initial value, so all registers begin with 0 in a cycle of reset.
_SCRIPT = """read_rtlil flat.il
setattr -unset init w:*
{cut}
rename top gold
design -stash gold
read_rtlil flat.il
setattr -unset init w:*
mutate -mode {options} -module top
{cut}
rename top gate
design -stash gate
design -copy-from gold -as gold gold
design -copy-from gate -as gate gate
read_verilog miter.v
prep -flatten -top miter
memory_map
setundef -init -zero
opt -full
setundef -zero
{asynchronous}dffunmap
techmap
simplemap
aigmap
opt_clean
write_aiger -zinit miter.aig
"""
_SOLVE = "read_aiger miter.aig; {step}; write_status status.txt"


class Relation(StrEnum):
    """Relation of a mutant to its core."""

    #: Equal in all cycles, by property-directed reachability (IC3) from the initial state.
    EQUAL = "equivalent"
    #: No proof, and no difference in a number of cycles after the initial state.
    BOUNDED = "bounded"
    #: A legal input distinguishes them.
    DIFFERENT = "different"


@dataclass(frozen=True)
class Equivalence:
    """Result of a proof.

    Attributes
    ----------
    relation : Relation
        Relation found.
    cycles : int
        Cycles without a difference if bounded; the cycle of the difference if different; 0 if equal.
    cpu_s : float
        Processor time of the run in seconds.
    """

    relation: Relation
    cycles: int
    cpu_s: float


def compare(
    netlist: Netlist, ports: Sequence[Port], mutant: Mutant, legal: Sequence[str], *, large: bool = False
) -> Equivalence:
    """Prove or refute the equivalence of a mutant and its core.

    For a large core, memories and registers are cut out of both sides. Their inputs are compared, and their outputs are
    free but equal on both sides. If the sides cannot differ then, they are equivalent, since equal inputs give equal
    outputs. A difference found with cuts proves nothing, so differences are searched for in the whole core.

    Parameters
    ----------
    netlist : Netlist
        Netlist of the core.
    ports : sequence of Port
        Ports of the core.
    mutant : Mutant
        The mutant.
    legal : sequence of str
        Assumptions on the inputs in every cycle, as Verilog; see `miter`.
    large : bool
        Whether the core is too large to prove as a whole.

    Raises
    ------
    UnavailableError
        Yosys is not installed.
    ToolError
        Yosys failed.
    """
    # The smaller the remaining design, the faster the proof.
    plan = [(cut, [_PROOF]) for cut in cutpoints_of(netlist, mutant.cell)] if large else []
    plan.append((Cut("", ()), [_SEARCH] if large else [_SEARCH, _PROOF, _LONG_SEARCH]))
    # AIGER has no register with an asynchronous reset.
    asynchronous = "async2sync\n" if re.search(r"cell \$(?:a|al)dff", netlist.text) else ""
    tasks = [
        (
            _SCRIPT.format(options=mutant.options, cut=cut.commands, asynchronous=asynchronous),
            miter(ports, legal, cut.pins),
            steps,
        )
        for cut, steps in plan
    ]
    version = yosys.version()

    def build(folder: Path) -> None:
        begun = _used_s()
        outcome = Relation.BOUNDED, 0
        for script, both, steps in tasks:
            run_yosys(folder, script, **{"flat.il": netlist.text, "miter.v": both})
            outcome = _solve(folder, steps)
            for name in ("miter.aig", "merged.aig"):
                (folder / name).unlink(missing_ok=True)
            if outcome[0] is Relation.EQUAL:
                break
        (folder / "outcome.json").write_text(json.dumps([*outcome, _used_s() - begun]))

    entry = BuildCache("mutation-proofs").get(digest_of(netlist.text, tasks, _SOLVE, version), build)
    relation, cycles, cpu_s = json.loads((entry / "outcome.json").read_text())
    return Equivalence(Relation(relation), cycles, cpu_s)


def _solve(folder: Path, steps: Sequence[str]) -> tuple[Relation, int]:
    """Run the steps on ``miter.aig`` until one decides."""
    bound = 0
    for step in steps:
        yosys.abc(_SOLVE.format(step=step), folder)
        status = folder / "status.txt"
        verdict, frame, *_ = status.read_text().split()
        status.unlink()
        if verdict == _EQUAL or _is_constant(folder / "merged.aig"):
            return Relation.EQUAL, 0
        if verdict == _DIFFERENT:
            return Relation.DIFFERENT, int(frame) + 1
        bound = max(bound, int(frame) + 1)
    return Relation.BOUNDED, bound


def _is_constant(merged: Path) -> bool:
    """Return whether only a constant low output remains, for which `pdr` reports no status."""
    if not merged.exists():
        return False
    # After the header a line for each output, here one: its literal, where 0 is low. Gates follow in binary.
    header, output, *_ = merged.read_bytes().split(b"\n", 2)
    _, _, _, latches, outputs, gates = header.split()[:6]
    return (latches, outputs, gates, output) == (b"0", b"1", b"0", b"0")


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
