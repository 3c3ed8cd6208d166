"""Variants of a core in one proof: one run of the solver finds all faults that its assertions detect.

Yosys and SymbiYosys take seconds to start, far longer than most faults take to be found. Here all faults are in one
design, an input selects the active one, and the solver is asked once for each. The questions are the same as
SymbiYosys'.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from amaranth.hdl import Signal

from ninefold.hdl import yosys
from ninefold.hdl.tools import version_of
from ninefold.sim.formal.proof import Method
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import installs, tool_failure
from ninefold.spec.programs import execute

__all__ = ["SELECT", "failing", "select_input"]

#: Name of the input that selects the active variant.
SELECT: Final = "variant"
_BITS = 16
#: Number of cycles after reset that are solved together.
_REACH = 4
# The commands of SymbiYosys. A state is a vector of bits, as Bitwuzla has no sorts of its own.
_TO_SMT2 = """read_rtlil top.il
prep -flatten -top top
hierarchy -smtcheck
scc -select; simplemap; select -clear
memory_nordff
async2sync
chformal -assume -early
opt_clean
formalff -setundef -clk2ff -ff2anyinit -hierarchy
chformal -live -fair -cover -remove
opt_clean
setundef -undriven -anyseq
opt -fast
opt_clean
formalff -assume
dffunmap
write_smt2 -stbv -wires top.smt2
"""
_SOLVER = 'import sys, bitwuzla as b\nb.Parser(b.TermManager(), b.Options(), "smt2").parse(sys.argv[1], False, True)\n'
_INSTALL = installs("prove")


def select_input() -> Signal:
    """Return a signal for the input `SELECT`."""
    return Signal(_BITS, name=SELECT)


def failing(rtlil: str, numbers: Iterable[int], method: Method, depth: int) -> set[int]:
    """Return the variants for which assertions fail or cannot be proved by induction.

    Parameters
    ----------
    rtlil : str
        Core and specification, with the top module ``top`` and its input `SELECT` of 16 bits.
    numbers : iterable of int
        Variants.
    method : Method
        Method for the assertions; not `Method.COVER`.
    depth : int
        Clock cycles.

    Raises
    ------
    UnavailableError
        Yosys or Bitwuzla is not installed.
    ToolError
        A tool failed.
    """
    text = re.sub(r"^\s*attribute \\src .*\n", "", rtlil, flags=re.MULTILINE)
    versions = [yosys.version(), version_of("bitwuzla", _INSTALL)]
    pending, found = set(numbers), set[int]()
    # Most faults show early, so few are left for the last cycles, which take the solver longest.
    for begin in range(0, depth, _REACH):
        if not pending:
            break
        end = min(begin + _REACH, depth)
        asked = sorted(pending)
        questions = [
            *_first_cycles(begin, end, asked),
            *(_induction(depth, asked) if method is Method.INDUCTION else ()),
        ]
        key = digest_of(text, _TO_SMT2, _SOLVER, questions, versions)
        answers = _solved(key, text, questions)
        rounds = [answers[start : start + len(asked)] for start in range(0, len(answers), len(asked))]
        for answered in rounds:
            found |= {number for number, answer in zip(asked, answered, strict=True) if answer == "sat"}
        pending -= found
    return found


def _solved(key: str, text: str, questions: Sequence[str]) -> list[str]:
    """Return the solver's answers to the commands after the model of a design."""

    def build(folder: Path) -> None:
        (folder / "top.il").write_text(text)
        yosys.run(_TO_SMT2, folder)
        model = re.sub(r"^;.*\n", "", (folder / "top.smt2").read_text(), flags=re.MULTILINE)
        (folder / "questions.smt2").write_text("\n".join(["(set-logic QF_BV)", model, *questions]))
        done = execute([sys.executable, "-c", _SOLVER, "questions.smt2"], folder, work="sby")
        answers = done.output.split()
        if done.code or set(answers) - {"sat", "unsat"}:
            raise tool_failure(f"Bitwuzla ended with code {done.code}", done.output + done.complaints, folder)
        for path in folder.iterdir():
            path.unlink()
        (folder / "answers").write_text("\n".join(answers))

    return (BuildCache("proof-variants").get(key, build) / "answers").read_text().split()


def _first_cycles(begin: int, end: int, numbers: Sequence[int]) -> Iterator[str]:
    """Return, for each variant, the question whether an assertion can first fail in one of these cycles after reset."""
    yield "(push 1)"
    yield f"(declare-const selected (_ BitVec {_BITS}))"
    for step in range(end):
        yield from _state(step)
        if step == 0:
            yield "(assert (and (|top_i| s0) (|top_is| s0)))"
        if step >= begin:
            yield from _ask(step, numbers)
        yield f"(assert (|top_a| s{step}))"
    yield "(pop 1)"


def _induction(depth: int, numbers: Sequence[int]) -> Iterator[str]:
    """Return, for each variant, the question whether an assertion can fail after `depth` cycles without a failure."""
    yield "(push 1)"
    yield f"(declare-const selected (_ BitVec {_BITS}))"
    for step in range(depth + 1):
        yield from _state(step)
        if step == 0:
            yield "(assert (not (|top_is| s0)))"
        if step < depth:
            yield f"(assert (|top_a| s{step}))"
    yield from _ask(depth, numbers)
    yield "(pop 1)"


def _state(step: int) -> Iterator[str]:
    yield f"(declare-const s{step} |top_s|)"
    yield f"(assert (and (|top_u| s{step}) (|top_h| s{step}) (= (|top_n {SELECT}| s{step}) selected)))"
    if step:
        yield f"(assert (and (|top_t| s{step - 1} s{step}) (not (|top_is| s{step}))))"


def _ask(step: int, numbers: Sequence[int]) -> Iterator[str]:
    for number in numbers:
        yield f"(check-sat-assuming ((= selected #b{number:0{_BITS}b}) (not (|top_a| s{step}))))"
