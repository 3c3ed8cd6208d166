"""Proof of the tables of signed sums: each look-up is the sum of the magnitudes whose signs agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Module, Mux, Signal, Value

from ninefold.hdl.parts.sign_tables import TABLE_DIMENSIONS, SignTables
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.spec.formats import NIT_MAX

__all__ = ["PROOFS", "PROOF_FAULTS", "agreeing"]

_FILL = 16


def agreeing(nits: Any, signs: Value) -> Value:
    """Return the sum of the magnitudes of nits whose signs equal the given signs."""
    return sum(Mux(nits[d].negative == signs[d], nits[d].magnitude, 0) for d in range(TABLE_DIMENSIONS))


def _tables(m: Module, core: Any, _inside: Inside) -> None:
    """Shift words in, fill the table and look up any signs at any time, but only fill while it is filled."""
    for port in (core.shift, core.fill, core.word.as_value(), core.signs.as_value()):
        m.d.comb += port.eq(AnySeq(len(port)))
    m.d.comb += [Assume(core.word[d].magnitude <= NIT_MAX) for d in range(TABLE_DIMENSIONS)]
    nits, kept = (Signal(core.word.shape(), name=name) for name in ("nits", "kept"))
    left, filled = Signal(range(_FILL + 1)), Signal()
    m.d.comb += Assume((left == 0) | ~(core.shift | core.fill))
    with m.If(core.shift):
        m.d.sync += nits.eq(core.word)
    with m.If(core.fill):
        m.d.sync += [left.eq(_FILL), filled.eq(0)]
    with m.Elif(left != 0):
        m.d.sync += [left.eq(left - 1), filled.eq(left == 1), kept.eq(nits)]
    looked, due = Signal(), Signal(range(_FILL + 1))
    found = core.operands[0] + core.carries[0]
    m.d.sync += [looked.eq(filled & ~core.fill), due.eq(agreeing(kept, core.signs[0]))]
    m.d.comb += Assert(core.passed.as_value() == nits.as_value(), "another word leaves")
    with m.If(looked):
        m.d.comb += Assert(found == due, "a look-up finds another sum")
    m.d.sync += [Cover(looked & (found == _FILL)), Cover(looked & (found == 5) & (kept[1].negative == 1))]


PROOFS = (
    Proof(
        "sign_tables",
        "sums",
        "after a fill, every look-up finds the sum of the magnitudes of the nits whose signs agree with the signs "
        "that are looked up, until the next fill",
        _tables,
        Method.BOUNDED,
        depth=20,
        cover=22,
        parameters={"nits": TABLE_DIMENSIONS, "width": TABLE_DIMENSIONS, "rows": 1, "beats": 1},
        make=SignTables,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "sums": [
        ("hdl.parts.sign_tables", "flag.eq(most | (flag & ~now.first))", "flag.eq(most & flag)"),
        ("hdl.parts.sign_tables", "step[:3] == 0b011, step", "step[:3] == 0b010, step"),
    ],
}
