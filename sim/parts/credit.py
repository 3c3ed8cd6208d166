"""Proof of the credit queue: every element whose credit was taken finds room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Cover, Module, Signal, Value

from ninefold.hdl.parts.credit import CreditQueue
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, follow, follow_fifo

__all__ = ["PROOFS", "PROOF_FAULTS"]

_DEPTH = 4


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

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "order": [
        ("hdl.parts.credit", "self.take & ~given", "self.take"),
    ],
}
