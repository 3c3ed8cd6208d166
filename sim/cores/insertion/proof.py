"""Unbounded proof of top-k by insertion: each score of each batch is at its rank."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Cat, Const, Module, Mux, Signal, Value

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.ranking import CLAIM, PARAMETERS, Followed, K, follow_score

__all__ = ["PROOFS"]


def _insertion(m: Module, core: Any, inside: Inside) -> None:
    """Follow any score; the invariant is its position in the memory and the positions of others relative to it."""
    it = follow_score(m, core)
    state, held, half, count = (inside[name] for name in ("fsm_state", "held", "half", "count"))
    hole, left, shown, leaving = inside["place#0"], inside["left"], inside["$signal#4"], inside["$signal#2"]
    last = core.results.payload.last
    entered, under_way, entering = Signal(), Signal(2), Signal()
    m.d.comb += [
        # The entering batch is complete but still in its half; the batches after it.
        entered.eq((state != 0) & held[-1]),
        under_way.eq((shown & last) + (left != 0)),
        # The followed score belongs to it.
        entering.eq(it.mine | (it.closed & entered & (it.before == under_way))),
        Assert(core.results.valid == shown),
        Assert(it.pending == under_way + entered, "a batch was lost or made up"),
        Assert((state != 3) & (count <= K) & (left <= K) & (it.rank <= K + 1) & (it.count <= K)),
        Assert((state != 2) | ((count != 0) & held[-1])),
        Assert((state != 1) | (hole <= count)),
        Assert((left == 0) | (leaving != half)),
        Assert(Mux(state == 0, it.starts == (count == 0), it.starts == held[-1])),
        Assert(it.begun | ~(it.mine | it.closed | it.chosen | it.fresh | it.beaten | (it.rank + it.count != 0))),
        Assert((state != 1) | (hole == 0) | (inside["memory.$signature__data#0"] == _row(inside, half, hole - 1))),
        Assert(~it.mine | ~(it.closed | it.starts)),
        Assert(~it.closed | (it.before < it.pending)),
        Assert(~it.chosen | it.mine | it.closed | (it.count != 0)),
        Assert(it.mine | it.closed | ~entering),
        # Results of one batch after the results of another.
        Assert(Mux(shown, Mux(last, it.place < K, (it.place + 1 + left <= K) & (left != 0)), it.place == 0)),
    ]
    with m.If(entering):
        m.d.comb += Assert(it.count == count + ((state == 1) & (count != K)))
        _stands(m, inside, it)
    with m.If(it.closed & ~entering):
        _leaves(m, core, inside, it)


def _row(inside: Inside, half: Value, place: Value) -> Value:
    rows = Array(inside[f"memory.row_{i}"] for i in range(2 * K))
    return rows[(half * K + place)[: (2 * K - 1).bit_length()]]


def _stands(m: Module, inside: Inside, it: Followed) -> None:
    """Assert the order around the score: scores that beat it are before its place, none after.

    During an insertion there is a gap, and all later scores have moved down by one.
    """
    held, half, count = inside["held"], inside["half"], inside["count"]
    hole, inserting = inside["place#0"], inside["fsm_state"] == 1
    width = len(it.score)
    # The rank without the score in insertion.
    rank, place = Signal.like(it.rank), Signal.like(it.rank)
    there = it.chosen & ~(inserting & it.fresh)
    m.d.comb += [
        rank.eq(it.rank - (inserting & it.beaten)),
        place.eq(rank + (inserting & (rank >= hole))),
        Assert(~(inserting & it.beaten) | ((it.rank != 0) & ~it.fresh)),
        Assert(~it.fresh | it.chosen),
        Assert(Mux(there, (rank < count) | (count == K), (rank <= count) | (count == K))),
        Assert(~there | (rank >= K) | (place >= K) | (_row(inside, half, place) == _entry(it))),
    ]
    for i in range(K):
        score = _row(inside, half, Const(i, 2))[:width].as_signed()
        was = Signal.like(it.rank, name=f"was_{i}")
        m.d.comb += was.eq(i - (inserting & (hole < i)))
        present = (was < count) & ~(inserting & (hole == i))
        with m.If(present & (was < rank)):
            m.d.comb += Assert(score >= it.score)
        with m.If(present & (was >= rank) & ~(there & (was == rank))):
            m.d.comb += Assert(Mux(there, score <= it.score, score < it.score))
        with m.If(inserting & (hole < i) & present):
            m.d.comb += Assert(held[:width].as_signed() > score)
    given = held[:width].as_signed()
    with m.If(inserting & it.fresh):
        m.d.comb += [Assert(held[:-1] == _entry(it)), Assert((hole >= rank) | (rank > K))]
    with m.Elif(inserting):
        m.d.comb += [
            Assert(it.beaten == Mux(there, given > it.score, given >= it.score)),
            Assert(it.beaten | (hole > rank) | (rank >= count) | (~there & (hole == rank))),
        ]


def _entry(it: Followed) -> Value:
    return Cat(it.score, it.identifier)


def _leaves(m: Module, core: Any, inside: Inside, it: Followed) -> None:
    """Assert that the batch leaves or is after the last result of another."""
    left, shown, leaving = inside["left"], inside["$signal#4"], inside["$signal#2"]
    last = core.results.payload.last
    # Results not yet read, unless they belong to the next batch; results read.
    rest, read, ours = Signal.like(left), Signal.like(it.count), Signal()
    m.d.comb += [
        ours.eq(shown & (it.before == 0)),
        rest.eq(Mux(ours & last, 0, left)),
        read.eq(it.count - rest),
        Assert((rest <= it.count) & (it.count != 0)),
        Assert(ours | (rest == it.count)),
        Assert(~ours | ((it.place + 1 == read) & (last == (rest == 0)))),
        Assert((rest == 0) | (inside["place#1"] == read[0])),
        Assert((it.before == 0) | (shown & last & (it.before == 1))),
    ]
    with m.If(it.chosen & (it.rank < K)):
        m.d.comb += [
            Assert(it.rank < it.count),
            Assert((it.rank < read) | (_row(inside, leaving, it.rank) == _entry(it))),
            Assert(~ours | (it.rank + 1 != read) | (core.results.payload.as_value()[:-1] == _entry(it))),
        ]


PROOFS = (
    Proof(
        "insertion",
        "selection",
        CLAIM,
        _insertion,
        Method.INDUCTION,
        depth=2,
        cover=13,
        parameters=PARAMETERS,
    ),
)
