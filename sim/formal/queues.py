"""Unbounded proofs of the queues: no element is lost, repeated or reordered."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Cover, Module, Mux, Signal, Value

from ninefold.hdl.cores.queue import Queue
from ninefold.hdl.parts.credit import CreditQueue
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow

__all__ = ["PROOFS", "follow_fifo"]

_DEPTH = 4


def _block_queue(m: Module, core: Any, inside: Inside) -> None:
    """Follow any word; the invariant is its position in the memory or after it."""
    accepted, left = drive(m, core.input), follow(m, core.output)
    watch = Watch(m, accepted, left, _DEPTH + 2)
    word = Signal.like(Value.cast(core.input.payload), name="followed")
    given, taken, shown = (inside[name] for name in ("given", "taken", "shown"))
    rows = Array(inside[f"memory.row_{i}"] for i in range(_DEPTH))
    # Registers after the memory's output, from the exit backwards.
    behind = [(shown, inside["memory.read__data"])]
    if "offered" in inside:
        behind.insert(0, (inside["offered"], inside["word"]))
    out = sum(full for full, _ in behind)
    stored, place = Signal.like(given), Signal(range(_DEPTH))
    with m.If(watch.begins):
        m.d.sync += word.eq(core.input.payload)
    m.d.comb += [
        stored.eq(given - taken),
        place.eq(taken + watch.ahead - out),
        Assert(stored <= _DEPTH),
        Assert(core.input.ready == (stored != _DEPTH), "there is room and no word is taken, or none and one is"),
        Assert(watch.inside == stored + out, "a word was lost or repeated"),
    ]
    waiting = Signal(range(len(behind) + 2))
    m.d.sync += waiting.eq(Mux((watch.inside != 0) & ~core.output.valid, waiting + 1, 0))
    m.d.comb += [
        Assert(waiting <= len(behind), "a word is not offered in time"),
        # Reason: each cycle moves the first word one step.
        Assert((waiting != len(behind)) | core.output.valid),
        Assert((waiting == 0) | (out != 0)),
    ]
    with m.If(watch.waits & (watch.ahead >= out)):
        m.d.comb += Assert(rows[place] == word)
    before: Value | int = 0
    for full, held in behind:
        with m.If(watch.waits & full & (watch.ahead == before)):
            m.d.comb += Assert(held == word)
        before = before + full
    with m.If(watch.comes & core.output.valid):
        m.d.comb += Assert(core.output.payload == word, "another word comes out")
    m.d.sync += Cover(watch.done & (watch.inside == _DEPTH + len(behind)) & (word == 2))


def follow_fifo(m: Module, inside: Inside, path: str, depth: int, waits: Value, ahead: Value, word: Value) -> Value:
    """Assert the position of a word inside a `SyncFIFOBuffered`, as an invariant; return its number of words.

    Parameters
    ----------
    m : Module
        Module that receives the assertions.
    inside : Inside
        Signals of the core.
    path : str
        Path of the queue in the core, with a trailing dot.
    depth : int
        Depth of the queue.
    waits, ahead : Value
        Whether the word is inside, provided that `ahead` is below the number of words; words before it.
    word : Value
        Value of the word.
    """
    inner, shown = inside[f"{path}inner_level"], inside[f"{path}r_rdy"]
    produce, consume = inside[f"{path}produce"], inside[f"{path}consume"]
    rows = Array(inside[f"{path}storage.row_{i}"] for i in range(depth - 1))
    place = Signal(range(2 * depth + 2))
    m.d.comb += [
        place.eq(consume + ahead - shown),
        Assert((produce < depth - 1) & (consume < depth - 1) & (inner < depth)),
        Assert(consume + inner == produce + (depth - 1) * ((consume + inner) >= depth - 1)),
    ]
    with m.If(waits & (ahead == 0) & shown):
        m.d.comb += Assert(inside[f"{path}r_data"] == word)
    with m.Elif(waits & (ahead < inner + shown)):
        m.d.comb += Assert(rows[place - (depth - 1) * (place >= depth - 1)] == word)
    return inner + shown


def _credit_queue(m: Module, core: Any, inside: Inside) -> None:
    """Deliver elements up to three cycles after their credit is taken, as a pipeline does."""
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
        m.d.comb += Assert(inside["queue.w_rdy"], "an element finds no room")

    # Every element has its place: free credits, elements in flight and the queue add up to `depth`.
    under_way = sum(coming[i] for i in range(3))
    held = follow_fifo(m, inside, "queue.", _DEPTH, watch.waits, watch.ahead, word)
    m.d.comb += [
        Assert(inside["credits"] + under_way + watch.inside == _DEPTH, "a credit was lost or made up"),
        Assert(watch.inside == held, "an element was lost or repeated"),
    ]
    m.d.sync += Cover(watch.done & (watch.inside == _DEPTH) & (word == 2))


PROOFS = (
    Proof(
        "queue",
        "order",
        "every accepted word is offered once, in order and unchanged, until it is accepted; a word is taken "
        "whenever there is room, and offered at most 2 cycles later",
        _block_queue,
        Method.INDUCTION,
        depth=4,
        cover=16,
        parameters={"shape": 2, "depth": _DEPTH},
        make=Queue,
    ),
    Proof(
        "queue",
        "registered",
        "the same for the queue with a register after its memory, at most 3 cycles later",
        _block_queue,
        Method.INDUCTION,
        depth=4,
        cover=18,
        parameters={"shape": 2, "depth": _DEPTH, "registered": True},
        make=Queue,
    ),
    Proof(
        "credit",
        "order",
        "every element whose credit was taken finds room, however late it comes; it is offered once, in order and "
        "unchanged, until it is accepted; no credit is lost or created",
        _credit_queue,
        Method.INDUCTION,
        depth=3,
        cover=16,
        parameters={"shape": 2, "depth": _DEPTH},
        make=CreditQueue,
    ),
)
