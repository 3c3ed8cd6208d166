"""Proofs of the threshold selection: a row is selected if its rank is below the limit, and results are in order.

The rank of a row is the number of rows that take part and are better: of a larger score, or of the same score and a
lower id. If any row is among the results exactly if its rank is below the limit, then the results are the best rows,
and as many as the limit allows. This proof is bounded, because a query takes many cycles. The way of chosen rows to the
results, on which queries meet, has an unbounded proof, around any counts; the bank of counts has one of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from ninefold.hdl.cores.threshold_select import ThresholdSelect
from ninefold.hdl.parts.counts import CountBank
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCore
from ninefold.sim.formal.streams import Watch, drive, follow, follow_fifo

__all__ = ["PROOFS"]

_ROWS = 2
_DEPTH = 3
_WORDS = 2
_KEEP = 2
_TOP = 4
#: Places of the queue, and words that may come before its level shows them.
_PLACES = 17
_UNSEEN = 5
#: Bits of a count of rows, and of the queries inside, more than a proof of this depth reaches.
_BITS = 3


@dataclass(frozen=True)
class _Followed:
    """The query that is followed, and one row of it.

    Attributes
    ----------
    score, identifier : Signal
        Score and id of the row.
    begun, mine, answered : Signal
        The query has begun; it is in its first scan, or in the search; its limit is accepted and its last result has
        not left.
    present, absent : Signal
        The row takes part with this score; it does not take part.
    rank, selected : Signal
        Number of better rows; the row is to be selected.
    pending, before : Signal
        Queries whose limit is accepted and whose last result has not left; those before the followed one.
    """

    score: Signal
    identifier: Signal
    begun: Signal
    mine: Signal
    answered: Signal
    present: Signal
    absent: Signal
    rank: Signal
    selected: Signal
    pending: Signal
    before: Signal


def _scans(m: Module, core: Any, accepted: Value) -> tuple[Signal, Signal]:
    """Assume scans of rows of one parity, each twice with the same words; return place and scan of the next word."""
    given = core.scores.payload
    parity, place, second = Signal(name="parity"), Signal(range(_WORDS + 1), name="place"), Signal(name="second")
    words = Array(Signal.like(Value.cast(given), name=f"word_{i}") for i in range(_WORDS))
    m.d.comb += [
        parity.eq(AnyConst(1)),
        Assume(given.word == place),
        Assume(given.last | (place != _WORDS - 1)),
    ]
    for i in range(_ROWS):
        in_range = (given.scores[i] >= -_TOP) & (given.scores[i] <= _TOP) & (given.scores[i][0] == parity)
        exists = place * _ROWS + i < _DEPTH
        m.d.comb += Assume(~given.valid[i] | (in_range & exists))
    with m.If(core.scores.valid & second):
        m.d.comb += Assume(given.as_value() == words[place[0]])
    with m.If(accepted):
        m.d.sync += [words[place[0]].eq(given), place.eq(place + 1)]
        with m.If(given.last):
            m.d.sync += [place.eq(0), second.eq(~second)]
    return place, second


def _selection(m: Module, core: Any, _inside: Inside) -> None:
    """Follow any row of any query."""
    accepted, limited, left = drive(m, core.scores), drive(m, core.limit), follow(m, core.results)
    m.d.comb += Assume(core.limit.payload.rows <= _KEEP)
    place, second = _scans(m, core, accepted)
    flags = (Signal(name=name) for name in ("begun", "mine", "answered", "present", "absent"))
    counts = (Signal(_BITS, name=name) for name in ("rank", "pending", "before"))
    begun, mine, answered, present, absent = flags
    rank, pending, before = counts
    it = _Followed(
        Signal(signed(len(core.results.payload.score)), name="score"),
        Signal(range(_DEPTH), name="row"),
        *(begun, mine, answered, present, absent, rank),
        Signal(name="selected"),
        *(pending, before),
    )
    m.d.comb += [it.score.eq(AnyConst(len(it.score))), it.identifier.eq(AnyConst(len(it.identifier)))]
    _rank(m, core, it, accepted & ~second, place)
    ends = left & core.results.payload.last
    m.d.sync += it.pending.eq(it.pending + limited - ends)
    with m.If(limited & it.mine):
        m.d.sync += [
            it.mine.eq(0),
            it.answered.eq(1),
            it.before.eq(it.pending - ends),
            it.selected.eq(it.present & (it.rank < core.limit.payload.rows)),
        ]
    with m.Elif(it.answered & ends):
        m.d.sync += [it.before.eq(it.before - 1), it.answered.eq(it.before != 0)]
    _results(m, core, it, left)


def _rank(m: Module, core: Any, it: _Followed, scans: Value, place: Value) -> None:
    """Look at each word of a first scan."""
    given = core.scores.payload
    begins = Signal(name="begins")
    m.d.comb += begins.eq(scans & (place == 0) & ~it.begun & AnySeq(1))
    within = begins | (scans & it.mine)
    better = []
    here = [place * _ROWS + i == it.identifier for i in range(_ROWS)]
    for i in range(_ROWS):
        ahead = (given.scores[i] == it.score) & (place * _ROWS + i < it.identifier)
        better.append(given.valid[i] & ((given.scores[i] > it.score) | ahead))
    with m.If(begins):
        m.d.sync += [it.begun.eq(1), it.mine.eq(1)]
    with m.If(within):
        m.d.sync += it.rank.eq(it.rank + sum(better))
        for i in range(_ROWS):
            with m.If(here[i]):
                m.d.sync += [
                    it.present.eq(given.valid[i] & (given.scores[i] == it.score)),
                    it.absent.eq(~given.valid[i]),
                ]


def _results(m: Module, core: Any, it: _Followed, left: Value) -> None:
    """Assert which results the followed query has, and their order."""
    result = core.results.payload
    first, seen, done = Signal(init=1, name="first"), Signal(name="seen"), Signal(name="done")
    latest = Signal.like(result.id, name="latest")
    ours = Signal(name="ours")
    m.d.comb += ours.eq(it.answered & (it.before == 0))
    with m.If(left):
        m.d.sync += [first.eq(result.last), latest.eq(result.id)]
    with m.If(core.results.valid):
        m.d.comb += [
            Assert(it.pending != 0, "a result comes before the limit of its query"),
            Assert(first | (result.id > latest), "results are not in order of ids"),
            Assert(result.valid | (first & result.last), "a result without a row is not alone"),
        ]
    with m.If(core.results.valid & ours):
        named = result.valid & (result.id == it.identifier)
        m.d.comb += Assert(~named | ~it.absent, "a row that takes no part is selected")
        with m.If(it.present):
            m.d.comb += [
                Assert(~named | it.selected, "a row is selected against its rank"),
                Assert(~named | (result.score == it.score), "a row has another score"),
                Assert(~result.last | (it.selected == (seen | named)), "a row is not selected against its rank"),
            ]
    with m.If(left & ours):
        m.d.sync += [seen.eq(seen | (result.valid & (result.id == it.identifier))), done.eq(result.last)]
    m.d.sync += [
        Cover(done & it.present & it.selected & (it.rank == 1) & (it.identifier == 2)),
        Cover(done & it.present & ~it.selected & (it.rank == 1)),
    ]


def _exit(m: Module, core: Any, inside: Inside) -> None:
    """Offer any words; follow any word from the queue on, and its rows to the results."""
    drive(m, core.scores)
    drive(m, core.limit)
    follow(m, core.results)
    word, shown = inside["w_data"], inside["queue.r_data"]
    enters, leaves = Signal(name="enters"), Signal(name="leaves")
    m.d.comb += [enters.eq(inside["queues"]), leaves.eq(inside["r_en"] & inside["queue.r_rdy"])]
    _room(m, inside, enters)
    watch = Watch(m, enters, leaves, _PLACES)
    followed = Signal(len(word), name="followed")
    with m.If(watch.begins):
        m.d.sync += followed.eq(word)
    held = follow_fifo(m, inside, "queue.", _PLACES, watch.waits, watch.ahead, followed)
    m.d.comb += Assert(watch.inside == held, "a word is lost or made up")
    _rows(m, core, inside, shown, leaves)
    m.d.sync += Cover(watch.done & (watch.inside == 3) & followed[-_ROWS:].all())


def _room(m: Module, inside: Inside, enters: Value) -> None:
    """Assert that each word that was accepted for the queue finds room there."""
    level, inner, shown = (inside[f"queue.{name}"] for name in ("level", "inner_level", "r_rdy"))
    before = Signal(name="entered_before")
    coming = Signal(range(_PLACES + 4), name="coming")
    m.d.sync += before.eq(enters)
    m.d.comb += [
        coming.eq(level + inside["arrives"] + inside["compares"] + enters),
        Assert(level == inner + shown),
        Assert(shown | (inner <= 1)),
        Assert(~inside["room"] | (level <= _PLACES - _UNSEEN + before)),
        Assert(coming <= _PLACES),
        Assert(~enters | inside["queue.w_rdy"], "a word finds no room"),
    ]


def _rows(m: Module, core: Any, inside: Inside, shown: Value, leaves: Value) -> None:
    """Assert that the chosen rows of the word before the exit are sent once, in order, and are the next results."""
    result, ready = core.results.payload, inside["queue.r_rdy"]
    layout = data.StructLayout(
        {"scores": core.scores.payload.scores.shape(), "word": 1, "last": 1, "chosen": _ROWS},
    )
    head = data.View(layout, shown)
    sent, held, holds, moves = (inside[name] for name in ("sent", "held", "holds", "moves"))
    due, waits, ends = Signal(len(held), name="due"), Signal(name="waits"), Signal(name="ends")
    left = head.chosen & ~sent
    # Rows are sent in order: those sent are all chosen ones below some row.
    m.d.comb += [
        Assert((sent == 0) | (ready & ((sent & ~head.chosen) == 0))),
        *(Assert(~sent[i] | ~left[:i].any(), "a row is sent before another one") for i in range(1, _ROWS)),
        Assert(~leaves | (left == 0) | ((left & (left - 1)) == 0), "a word leaves before its rows"),
        Assert(~leaves | ~head.last | (left == 0), "the end of a query leaves before its rows"),
    ]
    came, first = Signal(name="came"), Signal(range(_ROWS), name="first_left")
    m.d.comb += first.eq(Mux(left[0], 0, 1))
    m.d.sync += [came.eq(moves), ends.eq(left == 0), due.eq(held), waits.eq(holds)]
    sends = Signal(name="sends")
    row = Signal(len(held), name="row_sent")
    m.d.sync += [
        sends.eq(moves & (left != 0)),
        row.eq(Cat(head.scores[first], (head.word * _ROWS + first)[: len(result.id)])),
    ]
    with m.If(came):
        m.d.comb += [
            Assert(core.results.valid == (waits | ends), "a result is lost or made up"),
            Assert(Cat(result.score, result.id) == due, "another row is offered"),
            Assert(result.valid == waits),
            Assert(result.last == ends, "the end of a query is not marked, or another row is"),
            Assert(holds == ~ends),
        ]
    with m.If(sends):
        m.d.comb += Assert(held == row, "another row is sent")
    with m.If(~holds):
        m.d.comb += Assert(held == 0)


def _around_any_counts(**given: Any) -> Any:
    """Build a core with banks that show any counts."""
    return with_parts(ThresholdSelect, CountBank=partial(AnyCore, CountBank))(**given)


PROOFS = (
    Proof(
        "threshold_select",
        "exit",
        "a word with chosen rows always finds room in the queue; its rows are the next results, once each, in order, "
        "unchanged, and the last one of a query is marked. This holds around any counts, for any words and limits",
        _exit,
        Method.INDUCTION,
        depth=2,
        cover=30,
        parameters={"dimensions": 1, "keep": _KEEP, "rows": _ROWS, "depth": _DEPTH},
        make=_around_any_counts,
    ),
    Proof(
        "threshold_select",
        "selection",
        "any row of any query is among its results if the row takes part and fewer rows than the limit are better, and "
        "absent otherwise; results have the score of their row and ascending ids, and only a query of which no row is "
        "selected has a result without a row. Scores are of one parity and the same in both scans",
        _selection,
        Method.BOUNDED,
        depth=30,
        cover=32,
        parameters={"dimensions": 1, "keep": _KEEP, "rows": _ROWS, "depth": _DEPTH},
    ),
)
