"""Unbounded proofs of the queue: no word is lost, repeated or reordered."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Cover, Module, Mux, Signal, Value

from ninefold.hdl.cores.queue import Queue
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow

__all__ = ["PROOFS"]

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
)
