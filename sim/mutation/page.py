"""Documentation page on mutants, generated from the stored results."""

from __future__ import annotations

from collections import Counter

from ninefold.sim.mutation import verdicts
from ninefold.sim.mutation.campaign import Status
from ninefold.sim.mutation.judges import TOGETHER
from ninefold.sim.mutation.reasons import REASONS
from ninefold.sim.mutation.results import WANTED, Results, kept
from ninefold.sim.mutation.subjects import Subject, subjects
from ninefold.sim.mutation.trials import MORE, TIMES

__all__ = ["page"]

_LARGE = ", ".join(f"`{subject.core}`" for subject in subjects().values() if subject.assumptions.large)
_HEAD = f"""# Mutation

<!-- Written by `ninefold mutate all --page`; change `sim/mutation` or `sim/cores` instead. -->

`ninefold mutate CORE` measures which faults the testbench of a core detects. Yosys' `mutate` plants faults in the
core's netlist, one at a time: a bit inverted, stuck, or inverted while another bit of its port is set or clear. A
mutant is **killed** when a test fails on it. A mutant that passes all tests is proved **equivalent** to its core, or it
has **survived** because a legal input distinguishes the two, which is a gap in the testbench. {WANTED:.0%} of the
mutants that are not equivalent must be killed, or the exit code is 1. `pip install "ninefold[sim,synth]"` installs the
tools.

- **Mutants** are drawn once, with a seed, and stored beside the testbench, in `sim/cores/CORE/mutants.txt`. After a
  change of the netlist, draw them again with `--draw`. Mutants of clock pins are left out.
- **Tests** are the cocotb tests of `ninefold sim CORE`. Each is started for each mutant, the shortest first, until one
  fails. A test fails if it takes {TIMES} times its cycles on the core and {MORE:,} more. A simulator that ends without
  a verdict kills nothing.
- **Equivalent** mutants are proved so for all cycles, by induction or property-directed reachability (ABC, `scorr` and
  `pdr`), from a reset and with further resets at any time. `valid` and other outputs are always equal, `ready` during
  offers, and payloads while they are offered; offers are stable until they are accepted. If no proof is found, a mutant
  without a difference in a number of cycles is **bounded**; it counts as not killed.
- **Large** cores are proved in parts: {_LARGE}.
  Registers and memories are cut out of both sides. Their inputs are compared, also during reset, and their outputs are
  arbitrary but equal. If the sides cannot differ then, they are equivalent, because equal inputs give equal outputs. At
  first all registers are cut out, then all except in the mutant's part, then all except in the enclosing part, and at
  last only memories. A difference found this way proves nothing; the first cycles of the whole core are then searched.
- Verdicts are cached by the digest of netlist, mutants, testbench, golden models and tools, each when it is found.

Parameters are small. Times are processor time of tests and proofs.

| core | parameters | mutants | killed | equivalent | bounded | survived | killed of those not equivalent | time |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


_KINDS = ("proof", "testbench", "cover", "none")
_COMPARISONS = f"""
## Faults at comparisons

`ninefold mutate CORE --comparisons` plants a fault at each comparison of signals in the source of a core: its right
operand is one more or one less, or the result is always or never true. Comparisons are found when a core is
elaborated, so a new one needs no entry. Comparisons of parameters, which Python evaluates, are not hardware and are
left out. A comparison that is elaborated several times has its fault everywhere. All sources of cores are covered
(`hdl/cores`, `hdl/parts` and `hdl/miner`).

The judges are the proofs and testbenches of all cores that contain the comparison, until one fails: first unbounded
proofs, then testbenches, then unbounded proofs of large cores, then bounded proofs, then cover statements, each with
small cores first. The solver is asked about all faults of a core in one design, which takes seconds. With more than
{TOGETHER} faults it takes hours, so a large core (the executor) is proved with one fault at a time.

A fault on which all judges pass is a gap, unless `sim/mutation/reasons.py` gives the reason why the core then behaves
the same. Bounded proofs and cover statements are not run on such a fault.

`--keep` writes the judge of each fault to `sim/mutation/comparisons.json`, with the digests of its core and of the
judge. The tests fail if a comparison has no verdict, if a digest has changed, or if no judge sees a fault without a
written reason. They judge some of the faults again each day.

| source | comparisons | faults | seen by a proof | by a testbench | by a cover statement | equivalent |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def page() -> str:
    """Return the page as Markdown."""
    results = {core: kept(core) for core in subjects()}
    rows = [_row(subjects()[core], found) for core, found in results.items()]
    others = "".join(_others(core, found) for core, found in results.items())
    return _HEAD + "".join(rows) + _promises() + _comparisons() + others


def _comparisons() -> str:
    found = verdicts.kept().verdicts
    rows = []
    for path in dict.fromkeys(fault.comparison.path for fault in found):
        here = {fault: judge for fault, judge in found.items() if fault.comparison.path == path}
        by = Counter(judge.partition(" ")[0] if judge else "none" for judge in here.values())
        counts = [len({fault.comparison for fault in here}), len(here), *(by[kind] for kind in _KINDS)]
        rows.append(f"| {path} | {' | '.join(map(str, counts))} |\n")
    reasons = [f"- {fault}: {reason}.\n" for fault, reason in sorted(REASONS.items())]
    return f"{_COMPARISONS}{''.join(rows)}\nFaults without effect:\n\n{''.join(reasons)}"


def _row(subject: Subject, found: Results) -> str:
    bounded = sum(one.status is Status.BOUNDED for one in found.survivors)
    others = len(found.killed) + len(found.survivors)
    parameters = ", ".join(f"{name} {value}" for name, value in subject.parameters.items())
    cells = [
        subject.core,
        parameters,
        len(found.killed) + len(found.equivalent) + len(found.survivors),
        len(found.killed),
        len(found.equivalent),
        bounded,
        len(found.survivors) - bounded,
        f"{len(found.killed) / others:.1%}",
        f"{found.cpu_s:.0f} s",
    ]
    return f"| {' | '.join(map(str, cells))} |\n"


def _promises() -> str:
    promises = {subject.name: subject.assumptions.promise for subject in subjects().values()}
    promised = [f"- {name}: {promise}\n" for name, promise in promises.items() if promise]
    return (
        "\n## What inputs promise\n\nProofs assume this of inputs, in addition to the rules of streams.\n\n"
        + "".join(promised)
    )


def _others(core: str, found: Results) -> str:
    lines = [f"- {one.place or 'no line'}: {one.fault}: {one.status}, {one.detail}\n" for one in found.survivors]
    return f"\n## {core}: not killed\n\n{''.join(lines)}" if lines else ""
