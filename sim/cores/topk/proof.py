"""Proofs of top-k: each score leaves at its rank; entrance and exit hold around any array that its rule allows.

The array is never overloaded: the results of a batch have left its shift register before the next batch's results
enter, and every result has room in the queue. Both properties depend on counters, whose limits need larger batches and
more scores than a proof of the whole core reaches.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value

from ninefold.hdl.cores.topk import TopK, TopKCell
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.ranking import CLAIM, PARAMETERS, follow_score
from ninefold.sim.formal.stand_ins import AnyCore
from ninefold.sim.formal.streams import Watch, drive, follow

__all__ = ["PROOFS"]

#: Maximum number of cells whose queue has one link.
_K = 4
_PLACES = 17
#: Maximum number of scores in the entrance: held, spilled, and in the first slot.
_INSIDE = 3
#: Free places two cycles earlier with which a score that needs one may enter: two may have entered since.
_SPARE = 3


def _selection(m: Module, core: Any, _inside: Inside) -> None:
    """Follow any score."""
    follow_score(m, core)


def _entrance(m: Module, core: Any, inside: Inside) -> None:
    """Offer any scores; count places and cycles by the rule."""
    accepted, left = drive(m, core.scores), follow(m, core.results)
    slot, coming = core.cells[0].slot, core.cells[-1].next_result
    enters, closes = slot.valid, slot.valid & slot.last
    before, count = Signal(range(_K + 1), name="before"), Signal(range(_K + 1), name="count")
    m.d.comb += count.eq(before + (before != _K))
    with m.If(enters):
        m.d.sync += before.eq(Mux(slot.last, 0, count))

    # Results of a batch leave one per cycle: number of cycles in which the next batch must not close.
    busy, still = Signal(range(_K), name="busy"), Signal(range(_K), name="still")
    m.d.comb += still.eq(Mux(closes, count - 1, busy - (busy != 0)))
    m.d.sync += busy.eq(still)

    # Each of the first k scores of a batch takes a place until its result is accepted.
    taken, away, freed = Signal(range(2 * _PLACES), name="taken"), Signal(range(2 * _PLACES), name="away"), Signal()
    takes, arrives = enters & (before != _K), Signal(name="arrives")
    m.d.sync += [
        taken.eq(taken + takes - left),
        away.eq(away + takes - coming.valid),
        arrives.eq(coming.valid),
        freed.eq(left),
    ]
    spare = Signal(name="enough")
    m.d.sync += spare.eq(_PLACES - taken - freed >= _SPARE)
    m.d.comb += [
        Assume(~coming.valid | (away != 0)),
        Assert(taken <= _PLACES, "a result is awaited for which there is no place"),
        Assert(~arrives | inside["queue.input__ready"], "a result finds no room"),
        Assert(~slot.last | enters, "a batch closes without a score"),
        Assert(~closes | (busy == 0), "a batch closes while results of the one before are in its way"),
    ]
    _counters(m, inside, still, spare, Mux(enters, Mux(slot.last, 0, count), before), (taken, freed, takes))
    _queue(m, inside, taken - away - arrives)
    _order(m, core, inside, accepted, enters)
    m.d.sync += [
        Cover((taken == _PLACES) & (away == 0)),
        Cover(inside["holds"] & ~inside["enters"] & ~closes & (still == _K - 2)),
    ]


def _counters(m: Module, inside: Inside, still: Value, spare: Value, count: Value, places: Any) -> None:
    """Assert the invariant of the counters, and that no score waits without a reason."""
    taken, freed, takes = places
    m.d.comb += [
        Assert(inside["room"] == _PLACES - taken - freed),
        Assert(inside["freed"] == freed),
        Assert(inside["reserved"] == takes),
        Assert(inside["full"] == (count == _K)),
        Assert(inside["earlier"] == Mux(inside["full"], _K - 1, count)),
        Assert(inside["gap"] == still),
        Assert(inside["clear"] == (still == 0)),
        Assert(
            inside["enters"] == (inside["holds"] & ((count == _K) | spare) & (~inside["held"][-1] | (still == 0))),
            "a score waits without a reason, or does not",
        ),
    ]


def _queue(m: Module, inside: Inside, held: Value) -> None:
    """Assert the invariant: the number of results in the queue."""
    inner, shown = inside["queue.link_0.inner_level"], inside["queue.link_0.r_rdy"]
    m.d.comb += [
        Assert(inner + shown == held),
        Assert(inner < _PLACES),
        Assert(shown | (inner <= 1)),
    ]


def _order(m: Module, core: Any, inside: Inside, accepted: Value, enters: Value) -> None:
    """Follow any one score to the first slot."""
    watch = Watch(m, accepted, enters, _INSIDE)
    score = Signal.like(Value.cast(core.scores.payload), name="score")
    slot = core.cells[0].slot
    with m.If(watch.begins):
        m.d.sync += score.eq(core.scores.payload)
    sign, identifier, last = len(slot.entry.score) - 1, score[len(slot.entry.score) : -1], score[-1]
    entry = Cat(score[:sign], ~score[sign], identifier)
    with m.If(watch.comes & enters):
        m.d.comb += Assert((slot.entry.as_value() == entry) & (slot.last == last), "another score enters")
    place = watch.ahead - enters
    m.d.comb += [
        Assert(watch.inside == enters + inside["holds"] + inside["spills"]),
        Assert(inside["holds"] | ~inside["spills"]),
        Assert(~watch.waits | (watch.ahead < enters) | (Mux(place == 0, inside["held"], inside["spilled"]) == score)),
    ]


def _around_any(**given: Any) -> Any:
    """Build a core with free cells, available as ``cells``."""
    cells: list[Any] = []

    def cell(*given: Any, **named: Any) -> Any:
        cells.append(AnyCore(TopKCell, *given, **named))
        return cells[-1]

    core = with_parts(TopK, TopKCell=cell)(**given)
    core.cells = cells
    return core


PROOFS = (
    Proof(
        "topk",
        "selection",
        CLAIM,
        _selection,
        Method.BOUNDED,
        depth=16,
        cover=15,
        parameters=PARAMETERS,
    ),
    Proof(
        "topk",
        "entrance",
        "every score enters the array once, in order and unchanged, as soon as there are places and its batch may "
        "close, and not before: a place is kept for each of the first k scores of a batch until its result is "
        "accepted, so that each result finds room. At least c cycles pass between the close of a batch of c results "
        "and the next close. This holds around any array that gives, at any time, one result for each score that took "
        "a place",
        _entrance,
        Method.INDUCTION,
        depth=3,
        cover=26,
        parameters={"k": _K, "score_width": 1, "id_width": 1},
        make=_around_any,
    ),
)
