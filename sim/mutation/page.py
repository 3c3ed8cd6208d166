"""The documentation page on mutants, written from the results that are kept."""

from __future__ import annotations

from ninefold.sim.mutation.campaign import MORE, TIMES, Status
from ninefold.sim.mutation.catalogue import SUBJECTS, Subject
from ninefold.sim.mutation.results import WANTED, Results, kept

__all__ = ["page"]

_LARGE = ", ".join(f"`{subject.core}`" for subject in SUBJECTS.values() if subject.large)
_HEAD = f"""# Mutation

<!-- Written by `ninefold mutate all --page`; change `sim/mutation` instead. -->

`ninefold mutate CORE` measures what the bench of a core sees. Yosys' `mutate` plants faults in its netlist, one at a
time: a bit inverted, stuck, or inverted where another bit of its port is set or clear. A mutant is **killed** when a
test of the bench fails on it. One that passes all tests goes to a proof, which finds it **equivalent** to its core, or
a legal input that tells the two apart, and then it has **survived**: the bench has a gap. {WANTED:.0%} of the mutants
that are not equivalent must be killed; the exit code is 1 if fewer are. `pip install "ninefold[sim,synth]"` brings all
tools.

- **Mutants** are drawn once, with a seed, and kept in `sim/mutation/kept`; `--draw` draws anew, which a change of the
  netlist makes necessary. Mutants of clock pins are left out.
- **Tests** are the cocotb tests of `ninefold sim CORE`, each begun anew for each mutant, the shortest first, until one
  fails. One that takes {TIMES} times its cycles on the core and {MORE:,} more has failed; a simulator that ends without
  a verdict kills nothing.
- **Equivalent** is proved for ever, by induction or property-directed reachability (ABC, `scorr` and `pdr`), from a
  reset on and with others at any time: `valid` and other outputs are always the same, `ready` while there is an offer,
  payloads while they are on offer; offers stand until they are accepted. Where no proof is found, **bounded** is a
  mutant that does not differ in so many cycles; it counts as one that was not killed.
- **Large** cores are proved in parts: {_LARGE}. Registers and
  memories are cut out of both sides: what goes into them is compared, also in cycles of reset, and what they say may be
  anything, the same for both. Two sides that cannot differ so are the same, since nothing that differs ever goes in. At
  first all registers are cut out, then all but those of the part of the mutant, then of what that is a part of, and in
  the end only memories. A difference found so shows nothing; it is looked for in the first cycles of the whole.
- Verdicts are kept by the digest of netlist, mutants, bench, golden models and tools, each when it is found.

Parameters are small. Times are processor time of tests and proofs.

| core | parameters | mutants | killed | equivalent | bounded | survived | killed of those not equivalent | time |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def page() -> str:
    """Return the page as Markdown."""
    results = {core: kept(core) for core in SUBJECTS}
    rows = [_row(SUBJECTS[core], found) for core, found in results.items()]
    return _HEAD + "".join(rows) + _promises() + "".join(_others(core, found) for core, found in results.items())


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
    promised = [f"- {subject.core}: {subject.promise}\n" for subject in SUBJECTS.values() if subject.promise]
    return "\n## What inputs promise\n\nProofs assume this of inputs beside the rules of streams.\n\n" + "".join(
        promised
    )


def _others(core: str, found: Results) -> str:
    lines = [f"- {one.place or 'no line'}: {one.fault}: {one.status}, {one.detail}\n" for one in found.survivors]
    return f"\n## {core}: not killed\n\n{''.join(lines)}" if lines else ""
