"""Followed score of a top-k core, asserted to leave at its rank, or not at all.

The rank of a score is the number of scores of its batch that beat it: larger ones, and equal ones that came before it.
If any score of rank r below k is result r of its batch, and a batch has as many results as it has scores, at most k,
then results are sorted, are scores of the batch, none that is left out is larger than one of them, and equal ones are
in order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Cover, Module, Mux, Shape, Signal

from ninefold.sim.formal.streams import drive, follow

__all__ = ["CLAIM", "PARAMETERS", "Followed", "K", "follow_score"]

K = 2
_SCORE_BITS = 2
_ID_BITS = 2
#: Bits of the count of batches inside, more than fit in the core.
_BATCH_BITS = 5
CLAIM = (
    "each score of any batch is at its rank among the results if that is below k, with its id, and absent otherwise: "
    "results are sorted, come from the batch, omit no larger score, and ties are in order of arrival. A batch has "
    "as many results as scores, at most k. Results stay stable until accepted"
)
PARAMETERS = {"k": K, "score_width": _SCORE_BITS, "id_width": _ID_BITS}


@dataclass(frozen=True)
class Followed:
    """Followed score and its batch.

    Attributes
    ----------
    score, identifier : Signal
        Value and id of the score.
    starts, begun : Signal
        The next score begins a batch; the followed score's batch has begun.
    mine, closed : Signal
        Its batch is entering; its batch has entered and not left.
    chosen : Signal
        It has entered.
    rank, count : Signal
        Number of better scores in its batch, up to k + 1; number of scores in its batch, up to k.
    place : Signal
        Place of the next result in its batch.
    pending, before : Signal
        Number of batches that have entered and not left, and number of these before its own.
    beaten, fresh : Signal
        The latest score beats the followed one; the latest score is the followed one.
    """

    score: Signal
    identifier: Signal
    starts: Signal
    begun: Signal
    mine: Signal
    closed: Signal
    chosen: Signal
    rank: Signal
    count: Signal
    place: Signal
    pending: Signal
    before: Signal
    beaten: Signal
    fresh: Signal


def _signals(given: Any) -> Followed:
    flags = {name: Signal(name=name) for name in ("begun", "mine", "closed", "chosen", "beaten", "fresh")}
    counts = {name: Signal(range(K + 2), name=name) for name in ("rank", "count", "place")}
    batches = {name: Signal(_BATCH_BITS, name=name) for name in ("pending", "before")}
    score, identifier = Signal.like(given.score, name="chosen_score"), Signal(_ID_BITS, name="chosen_id")
    return Followed(score, identifier, Signal(init=1, name="starts"), **flags, **counts, **batches)


def follow_score(m: Module, core: Any) -> Followed:
    """Follow any score of any batch, with score and id fixed in advance, and assert its rank."""
    accepted, left = drive(m, core.scores), follow(m, core.results)
    given, result = core.scores.payload, core.results.payload
    it = _signals(given)
    m.d.comb += [
        it.score.eq(AnyConst(Shape(len(it.score), signed=it.score.shape().signed))),
        it.identifier.eq(AnyConst(_ID_BITS)),
    ]
    done, later = Signal(), Signal()
    begins = accepted & it.starts & ~it.begun & AnySeq(1)
    ours = accepted & it.mine | begins
    chooses = ours & ~it.chosen & (given.score == it.score) & (given.id == it.identifier) & AnySeq(1)
    beats = Mux(it.chosen, given.score > it.score, given.score >= it.score)
    closes, ends = accepted & given.last, left & result.last
    with m.If(accepted):
        m.d.sync += [it.starts.eq(given.last), it.beaten.eq(ours & ~chooses & beats), it.fresh.eq(chooses)]
    with m.If(begins):
        m.d.sync += [it.begun.eq(1), later.eq((it.pending != 0) | later)]
    with m.If(ours):
        m.d.sync += [it.count.eq(it.count + (it.count != K)), it.mine.eq(~given.last)]
        with m.If(chooses):
            m.d.sync += it.chosen.eq(1)
        with m.Elif(beats & (it.rank <= K)):
            m.d.sync += it.rank.eq(it.rank + 1)

    leaves = it.closed & (it.before == 0)
    m.d.sync += it.pending.eq(it.pending + closes - ends)
    with m.If(ours & given.last):
        m.d.sync += [it.closed.eq(1), it.before.eq(it.pending - ends)]
    with m.Elif(it.closed & ends):
        m.d.sync += [it.closed.eq(it.before != 0), it.before.eq(it.before - 1), done.eq(it.before == 0)]
    with m.If(left):
        m.d.sync += it.place.eq(Mux(result.last, 0, it.place + 1))
    with m.If(core.results.valid):
        m.d.comb += [
            Assert(it.place < K, "a batch has more than k results"),
            Assert(it.pending != 0, "a result comes before its batch has closed"),
        ]
    with m.If(core.results.valid & leaves):
        m.d.comb += Assert(result.last == (it.place == it.count - 1), "a batch has another number of results")
        with m.If(it.chosen & (it.rank == it.place)):
            m.d.comb += [
                Assert(result.score == it.score, "another score is at this rank"),
                Assert(result.id == it.identifier, "another score is at this rank"),
            ]
    # A batch after another has left, with more than k scores, of which the followed one was not the best.
    m.d.sync += [
        Cover(done & later & it.chosen & (it.rank == 1) & (it.count == K)),
        Cover(core.results.valid & leaves & (it.rank == K) & it.chosen),
    ]
    return it
