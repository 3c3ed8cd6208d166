"""Proof of the count bank: counts and sums are exact, however counts, clears and reads overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cover, Module, Mux, Signal, Value

from ninefold.hdl.parts.counts import CountBank
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS", "PROOF_FAULTS"]

_GROUP_BITS = 1
_WIDTH = 2


def _bank(m: Module, core: Any, inside: Inside) -> None:
    """Count and clear any place at any time; follow any one place and its group."""
    for name in ("place", "count", "clear"):
        m.d.comb += getattr(core, name).eq(AnySeq(len(getattr(core, name))))
    m.d.comb += Assume(~(core.count & core.clear))
    followed = Signal.like(core.place, name="followed")
    m.d.comb += followed.eq(AnyConst(len(followed)))
    _place(m, core, inside, followed)
    _group(m, core, inside, followed[_GROUP_BITS:])


def _history(m: Module, value: Value, cycles: int, name: str) -> list[Signal]:
    """Return a value of one cycle before, two cycles before, and so on."""
    line = [Signal.like(value, name=f"{name}_{i + 1}") for i in range(cycles)]
    m.d.sync += [line[0].eq(value), *(line[i + 1].eq(line[i]) for i in range(cycles - 1))]
    return line


def _model(m: Module, core: Any, ours: Value, name: str) -> list[Signal]:
    """Return the count after all cycles but this one, all but the last two, and all but the last three."""
    count = Signal(_WIDTH, name=name)
    later = Signal(_WIDTH, name=f"{name}_later")
    m.d.comb += later.eq(Mux(ours & core.clear, 0, count + (ours & core.count)))
    m.d.sync += count.eq(later)
    return [count, *_history(m, count, 2, name)]


def _place(m: Module, core: Any, inside: Inside, followed: Value) -> None:
    """Assert the count of the place in memory, on the way to it, and at the output."""
    ours = Signal(name="ours")
    m.d.comb += ours.eq(core.place == followed)
    now, before, stored = _model(m, core, ours, "due")
    places = _history(m, core.place, 3, "place")
    counts, clears = _history(m, core.count, 3, "count"), _history(m, core.clear, 3, "clear")
    mine = [place == followed for place in places]
    changes = [count | clear for count, clear in zip(counts, clears, strict=True)]
    again = inside["again_1"]
    quiet, source = Signal(init=1, name="quiet"), inside["source"]
    word, total, total_1, total_2 = (inside[name] for name in ("word", "total", "total_1", "total_2"))
    rows = Array(inside[f"singles.row_{i}"] for i in range(1 << len(followed)))
    m.d.sync += quiet.eq(again == 0)
    m.d.comb += [
        Assert((inside["given_place"] == places[0]) & (inside["written_place"] == places[1])),
        Assert((inside["count"] == counts[0]) & (inside["clear"] == clears[0])),
        *(Assert(~(count & clear)) for count, clear in zip(counts, clears, strict=True)),
        Assert(inside["changes_2"] == changes[1]),
        Assert(again[0] == (changes[1] & (places[1] == places[0]))),
        Assert(again[1] == (changes[2] & (places[2] == places[0]))),
        Assert((source == 3) == clears[1]),
        Assert((source == 0) == (quiet & ~clears[1])),
        Assert(now == Mux(mine[0] & clears[0], 0, (before + (mine[0] & counts[0]))[:_WIDTH])),
        Assert(before == Mux(mine[1] & clears[1], 0, (stored + (mine[1] & counts[1]))[:_WIDTH])),
        Assert(rows[followed] == stored, "the count in memory"),
        Assert(~mine[2] | ~changes[2] | (total_1 == stored)),
        Assert(~mine[1] | ~changes[1] | (total == before), "another count is written"),
        Assert(~mine[0] | again[1] | (inside["singles.read__data"] == stored)),
        Assert(~mine[1] | ~quiet | (core.single == stored), "another count is shown"),
    ]
    for number, base in enumerate((word, total_1, total_2)):
        m.d.comb += Assert(~mine[1] | (source != number) | (base == stored))
    m.d.sync += Cover(mine[1] & quiet & (core.single == 3) & (places[0] != followed))


def _group(m: Module, core: Any, inside: Inside, group: Value) -> None:
    """Assert the sum of a group in memory and at the output."""
    ours = Signal(name="ours_too")
    m.d.comb += ours.eq(core.place[_GROUP_BITS:] == group)
    _now, stored, shown = _model(m, core, ours, "sum")
    places = _history(m, core.place, 2, "place_of_group")
    sums = [Array(inside[f"{name}.row_{i}"] for i in range(1 << len(group) - 1)) for name in ("lowers", "uppers")]
    given = (places[0][_GROUP_BITS:] == group) & inside["clear"]
    added = (places[0][_GROUP_BITS:] == group) & inside["count"]
    m.d.comb += [
        Assert(_now == Mux(given, 0, (stored + added)[:_WIDTH])),
        Assert(Mux(group[0], sums[1][group[1:]], sums[0][group[1:]]) == stored, "the sum in memory"),
    ]
    with m.If(places[1][_GROUP_BITS + 1 :] == group[1:]):
        m.d.comb += Assert(Mux(group[0], core.upper, core.lower) == shown, "another sum is shown")


PROOFS = (
    Proof(
        "count_bank",
        "counts",
        "for any counts, clears and reads, one a cycle, the count shown for a place is the number of its counts since "
        "it was cleared, and the sum shown for a group is the number of counts of its places since a clear of one",
        _bank,
        Method.INDUCTION,
        depth=2,
        cover=12,
        parameters={"pairs": 2, "group_bits": _GROUP_BITS, "width": _WIDTH},
        make=CountBank,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "counts": [
        ("hdl.parts.counts", "changes_1 & (place_1 == self.place)", "changes_1 & 0"),
        ("hdl.parts.counts", "again_1.eq(again)", "again_1.eq(again & 1)"),
        ("hdl.parts.counts", "Mux(clear_1, 3,", "Mux(0, 3,"),
        ("hdl.parts.counts", "(half == i)", "(half != i)"),
    ],
}
