"""Proof of the mask of rows: every word leaves once, in order, with the rows that its query does not allow cleared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Array, Assert, Assume, Const, Cover, Module, Mux, Signal, Value

from ninefold.hdl.parts.row_mask import RowMask
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow

__all__ = ["PROOFS", "PROOF_FAULTS"]

_ROWS, _DEPTH, _PASSES = 2, 3, 2
_WORDS = -(-_DEPTH // _ROWS)
#: Words inside: one that waits for its bits, and two in the stage behind it.
_MOST = 3
_BYTE = 8


def _mask(m: Module, core: Any, _inside: Inside) -> None:
    """Send any masks of any length, any queries, and scans of any number of words."""
    entered, asked = drive(m, core.mask), drive(m, core.queries)
    taken, left = drive(m, core.scores), follow(m, core.output)
    masked, known, turn = Signal(name="due_masked"), Signal(name="due_known"), Signal(name="due_turn")
    scores = core.scores.payload
    ends = taken & scores.last & (turn == _PASSES - 1)
    count, bits = _masks(m, core, entered, ends & masked)
    with m.If(asked):
        m.d.sync += [known.eq(1), masked.eq(core.queries.payload.masked)]
    with m.If(taken & scores.last):
        m.d.sync += turn.eq(turn + 1)
    with m.If(ends):
        m.d.sync += known.eq(0)

    number = Signal(range(_WORDS), name="due_word")
    with m.If(taken):
        m.d.sync += number.eq(Mux(scores.last, 0, number + 1))
    final = number == _WORDS - 1
    m.d.comb += [
        Assume(scores.word == number),
        # A database may be smaller than the store. The last word has no second row.
        Assume(scores.last | ~final),
        Assume(~final | ~scores.valid[_DEPTH % _ROWS]),
        Assert(~(taken & masked) | (count != 0), "a word does not wait for its mask"),
        Assert(~taken | known, "a word does not wait for its query"),
        Assert(~asked | ~known, "a query is accepted before the scores of the one before are"),
    ]
    watch = Watch(m, taken, left, _MOST)
    due = Signal(scores.shape(), name="due")
    allowed = Mux(masked, bits.word_select(number, _ROWS), Const(-1, _ROWS))
    with m.If(watch.begins):
        m.d.sync += [due.eq(scores), due.valid.eq(scores.valid & allowed)]
    with m.If(watch.comes & core.output.valid):
        m.d.comb += Assert(core.output.payload.as_value() == due.as_value(), "a row has another bit, or score")
    idle = known & (~masked | (count != 0)) & (watch.inside == 0)
    m.d.comb += Assert(~idle | core.scores.ready, "a word is not accepted although nothing is inside")
    m.d.sync += [
        Cover(watch.done & (due.word == 0) & masked & (due.valid == 0b10)),
        Cover((count == 2) & watch.done & due.last),
    ]


def _masks(m: Module, core: Any, entered: Value, used: Value) -> tuple[Signal, Value]:
    """Keep the first bits of the masks that entered; return the number of masks that are held, and the oldest."""
    kept = Array(Signal(_WORDS * _ROWS, name=f"mask_{i}") for i in range(2))
    count, write, read = Signal(range(3), name="due_held"), Signal(name="due_write"), Signal(name="due_read")
    behind, age = Signal(name="due_behind"), Signal(range(_BYTE), name="age")
    byte = core.mask.payload
    ends = entered & byte.last
    m.d.sync += [count.eq(count + ends - used), write.eq(write ^ ends), read.eq(read ^ used)]
    with m.If(entered):
        m.d.sync += behind.eq(~byte.last)
        with m.If(~behind):
            m.d.sync += kept[write].eq(byte.data)
    active = core.mask.valid & (count != 2)
    with m.If(active):
        m.d.sync += age.eq(age + 1)
    m.d.comb += Assert(entered == (active & (age == _BYTE - 1)), "a byte is not accepted after 8 cycles with room")
    return count, kept[read]


PROOFS = (
    Proof(
        "row_mask",
        "rows",
        "every word of scores leaves once, in order, with a row valid if it was and if the bit of its query's mask is "
        "set, or if its query has no mask; a word waits for its query and its whole mask; a byte of a mask takes 8 "
        "cycles, and one more mask enters while one is used",
        _mask,
        Method.BOUNDED,
        depth=27,
        cover=27,
        parameters={"dimensions": 1, "rows": _ROWS, "depth": _DEPTH, "passes": _PASSES},
        make=RowMask,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "rows": [
        ("hdl.parts.row_mask", "(~masked | (held != 0))", "1"),
        ("hdl.parts.row_mask", "slot.eq(slot ^ masked)", "slot.eq(~slot)"),
        ("hdl.parts.row_mask", "write.en.eq(active & ~past)", "write.en.eq(active)"),
    ],
}
