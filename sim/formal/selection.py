"""Top-k: each score of each batch comes out at its rank, or not at all.

The rank of a score is the number of scores of its batch that beat it: larger ones, and equal ones that came before it.
If any score of rank r below k is result r of its batch, and a batch has as many results as it has scores, at most k,
then results are sorted, are scores of the batch, none that is left out is larger than one of them, and equal ones are
in order of arrival.
"""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Cover, Module, Mux, Shape, Signal

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS"]

_K = 2
_SCORE_BITS = 2
_ID_BITS = 2
#: Batches are counted with so many bits: no bounded proof sees more.
_BATCH_BITS = 5


def _selection(m: Module, core: Any, _inside: Inside) -> None:
    """Follow one score of one batch, any of them, whose score and id are chosen beforehand."""
    accepted, left = drive(m, core.scores), follow(m, core.results)
    given, result = core.scores.payload, core.results.payload
    batch, opened, leaving = (Signal(_BATCH_BITS, name=name) for name in ("batch", "opened", "leaving"))
    score, identifier = Signal.like(given.score, name="chosen_score"), Signal(_ID_BITS, name="chosen_id")
    rank, count, place = (Signal(range(_K + 1), name=name) for name in ("rank", "count", "place"))
    chosen, closed = Signal(name="chosen"), Signal(name="closed")
    m.d.comb += [
        batch.eq(AnyConst(_BATCH_BITS)),
        score.eq(AnyConst(Shape(len(score), signed=score.shape().signed))),
        identifier.eq(AnyConst(_ID_BITS)),
    ]
    ours = accepted & (opened == batch) & ~closed
    chooses = ours & ~chosen & (given.score == score) & (given.id == identifier) & AnySeq(1)
    beats = Mux(chosen, given.score > score, given.score >= score)
    with m.If(accepted):
        m.d.sync += opened.eq(opened + given.last)
    with m.If(ours):
        m.d.sync += [count.eq(count + (count != _K)), closed.eq(given.last)]
        with m.If(chooses):
            m.d.sync += chosen.eq(1)
        with m.Elif(beats & (rank != _K)):
            m.d.sync += rank.eq(rank + 1)

    with m.If(left):
        m.d.sync += [place.eq(Mux(result.last, 0, place + 1)), leaving.eq(leaving + result.last)]
    with m.If(core.results.valid):
        m.d.comb += [
            Assert(place < _K, "a batch has more than k results"),
            Assert(opened != leaving, "a result comes before its batch has closed"),
        ]
    with m.If(core.results.valid & (leaving == batch)):
        m.d.comb += Assert(closed & (result.last == (place == count - 1)), "a batch has another number of results")
        with m.If(chosen & (rank == place)):
            m.d.comb += [
                Assert(result.score == score, "another score is at this rank"),
                Assert(result.id == identifier, "another score is at this rank"),
            ]
    # The second batch has left, with more scores than k in it, of which the chosen one was not the best.
    m.d.sync += [
        Cover((leaving == 2) & (batch == 1) & chosen & (rank == 1) & (count == _K)),
        Cover(core.results.valid & closed & (leaving == batch) & (rank == _K) & chosen),
    ]


_CLAIM = (
    "each score of any batch is at its rank among the results if that is below k, with its id, and absent otherwise: "
    "results are sorted, come from the batch, leave out nothing larger, and ties are in order of arrival; a batch has "
    "as many results as scores, at most k; results stand until they are accepted"
)
PROOFS = (
    Proof(
        "topk",
        "selection",
        _CLAIM,
        _selection,
        Method.BOUNDED,
        depth=16,
        cover=15,
        parameters={"k": _K, "score_width": _SCORE_BITS, "id_width": _ID_BITS},
    ),
    Proof(
        "insertion",
        "selection",
        _CLAIM,
        _selection,
        Method.BOUNDED,
        depth=15,
        cover=13,
        parameters={"k": _K, "score_width": _SCORE_BITS, "id_width": _ID_BITS},
    ),
)
