"""Proof of the stage of a stream: every element once, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Assert, Cover, Module, Signal, Value

from ninefold.hdl.parts.stage import StreamStage
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow

__all__ = ["PROOFS", "PROOF_FAULTS"]


def _stage(m: Module, core: Any, inside: Inside) -> None:
    """Follow any element: it is on offer, or spilled behind the offered one."""
    accepted, left = drive(m, core.input), follow(m, core.output)
    watch = Watch(m, accepted, left, 2)
    word, spills = Signal.like(Value.cast(core.input.payload), name="followed"), inside["spills"]
    with m.If(watch.begins):
        m.d.sync += word.eq(core.input.payload)
    m.d.comb += [
        Assert(watch.inside == core.output.valid + spills, "an element was lost or repeated"),
        Assert(core.output.valid | ~spills),
        Assert(core.input.ready == (watch.inside != 2), "there is room and no element is taken, or none and one is"),
    ]
    with m.If(watch.comes & core.output.valid):
        m.d.comb += Assert(core.output.payload == word, "another element comes out")
    with m.If(watch.waits & (watch.ahead == 1)):
        m.d.comb += Assert(spills & (inside["spilled"] == word))
    m.d.sync += Cover(watch.done & (watch.inside == 2) & (word == 2))


PROOFS = (
    Proof(
        "stage",
        "order",
        "every accepted element is offered once, in order and unchanged, until it is accepted; an element is "
        "taken whenever fewer than two are inside",
        _stage,
        Method.INDUCTION,
        depth=2,
        cover=8,
        parameters={"shape": 2},
        make=StreamStage,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "order": [
        ("hdl.parts.stage", "Mux(spills, spilled, self.input.payload)", "self.input.payload"),
        ("hdl.parts.stage", "spills | self.input.valid", "self.input.valid"),
    ],
}
