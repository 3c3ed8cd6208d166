"""Queues: nothing is lost, repeated or reordered, for ever."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Cover, Module, Signal, Value

from ninefold.hdl.cores.credit import CreditQueue
from ninefold.hdl.link.queue import BlockQueue
from ninefold.sim.formal.dut import Dut
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow

__all__ = ["PROOFS"]

_DEPTH = 4


def _block_queue(m: Module, dut: Dut, core: Any) -> None:
    """Follow any word; where it is in the memory is the invariant."""
    accepted, left = drive(m, core.input), follow(m, core.output)
    watch = Watch(m, accepted, left, _DEPTH + 1)
    word = Signal.like(Value.cast(core.input.payload), name="word")
    given, taken, shown = (dut.signals[name] for name in ("given", "taken", "shown"))
    rows = Array(dut.signals[f"memory.row_{i}"] for i in range(_DEPTH))
    stored = Signal.like(given)
    place = Signal(range(_DEPTH))
    with m.If(watch.begins):
        m.d.sync += word.eq(core.input.payload)
    m.d.comb += [
        stored.eq(given - taken),
        place.eq(taken + watch.ahead - shown),
        Assert(stored <= _DEPTH),
        Assert(watch.inside == stored + shown, "a word was lost or repeated"),
        Assert(core.input.ready | (watch.inside >= _DEPTH), "there is room, and the queue does not take a word"),
    ]
    waits = Signal()
    m.d.sync += waits.eq((watch.inside != 0) & ~core.output.valid)
    m.d.comb += Assert(~waits | core.output.valid, "a word is not offered in time")
    with m.If(watch.waits & (watch.ahead >= shown)):
        m.d.comb += Assert(rows[place] == word)
    with m.If(watch.comes & core.output.valid):
        m.d.comb += Assert(core.output.payload == word, "another word comes out")
    m.d.sync += Cover(watch.done & (watch.inside == _DEPTH + 1) & (word == 2))


def _credit_queue(m: Module, dut: Dut, core: Any) -> None:
    """Elements come up to three cycles after their credit was taken, as behind a pipeline."""
    from amaranth.asserts import AnySeq

    element = Value.cast(core.element)
    left = follow(m, core.output)
    coming = Signal(3)
    watch = Watch(m, core.push, left, _DEPTH)
    word = Signal.like(element, name="word")
    m.d.comb += [
        core.take.eq(AnySeq(1) & core.credit),
        core.push.eq(coming[-1]),
        core.element.eq(AnySeq(len(element))),
    ]
    m.d.sync += coming.eq((coming << 1) | core.take)
    with m.If(watch.begins):
        m.d.sync += word.eq(core.element)
    with m.If(watch.comes & core.output.valid):
        m.d.comb += Assert(core.output.payload == word, "another element comes out")
    with m.If(core.push):
        m.d.comb += Assert(dut.signals["queue.w_rdy"], "an element finds no room")

    # Every element that may come has its place: the credits left, the way and the queue are `depth` together.
    under_way = sum(coming[i] for i in range(3))
    inner, shown = dut.signals["queue.inner_level"], dut.signals["queue.r_rdy"]
    produce, consume = dut.signals["queue.produce"], dut.signals["queue.consume"]
    rows = Array(dut.signals[f"queue.storage.row_{i}"] for i in range(_DEPTH - 1))
    place = Signal(range(2 * _DEPTH))
    m.d.comb += [
        place.eq(consume + watch.ahead - shown),
        Assert(dut.signals["credits"] + under_way + watch.inside == _DEPTH, "a credit was lost or made up"),
        Assert(watch.inside == inner + shown, "an element was lost or repeated"),
        Assert((produce < _DEPTH - 1) & (consume < _DEPTH - 1) & (inner < _DEPTH)),
        Assert(consume + inner == produce + (_DEPTH - 1) * ((consume + inner) >= _DEPTH - 1)),
    ]
    with m.If(watch.waits & (watch.ahead >= shown)):
        m.d.comb += Assert(rows[place - (_DEPTH - 1) * (place >= _DEPTH - 1)] == word)
    m.d.sync += Cover(watch.done & (watch.inside == _DEPTH) & (word == 2))


PROOFS = (
    Proof(
        "queue",
        "order",
        "every word that is accepted is offered once, in order, unchanged, until it is accepted; a word is taken "
        "whenever there is room, and offered at most 2 cycles later",
        _block_queue,
        Method.INDUCTION,
        depth=3,
        cover=16,
        parameters={"shape": 2, "depth": _DEPTH},
        make=BlockQueue,
    ),
    Proof(
        "credit",
        "order",
        "every element whose credit was taken finds room, however late it comes; it is offered once, in order, "
        "unchanged, until it is accepted; no credit is lost or made up",
        _credit_queue,
        Method.INDUCTION,
        depth=3,
        cover=16,
        parameters={"shape": 2, "depth": _DEPTH},
        make=CreditQueue,
    ),
)
