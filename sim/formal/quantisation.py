"""Quantiser: each word comes out with the nits that the threshold rule gives."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Cover, Module, Mux, Signal, signed

from ninefold.hdl.cores import Quantiser
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow
from ninefold.spec.formats import NIT_BITS, THRESHOLDS, Mode

__all__ = ["PROOFS"]

_MODE: Mode = "tanh"


def _rule(m: Module, core: Any, _inside: Inside) -> None:
    """Follow any word, with the nit of its acceptance, while thresholds are written at any time."""
    accepted, left = drive(m, core.values), follow(m, core.nits)
    m.d.comb += [
        core.threshold.valid.eq(AnySeq(1)),
        core.threshold.payload.as_value().eq(AnySeq(18)),
    ]
    thresholds = Array(Signal(16, name=f"model_{i}", init=v) for i, v in enumerate(THRESHOLDS[_MODE].reached_at))
    write = core.threshold.payload
    with m.If(core.threshold.valid):
        m.d.sync += thresholds[write.index].eq(write.value)
    # A write holds for the word that is accepted with it.
    holding = [Mux(core.threshold.valid & (write.index == i), write.value, t) for i, t in enumerate(thresholds)]
    grid = core.values.payload.grid[0]
    magnitude = Signal(17)
    reached = sum(magnitude >= threshold for threshold in holding)
    nit, last = Signal(signed(NIT_BITS)), Signal()
    watch = Watch(m, accepted, left, Quantiser.CAPACITY)
    m.d.comb += magnitude.eq(abs(grid))
    with m.If(watch.begins):
        m.d.sync += [nit.eq(Mux(grid < 0, -reached, reached)), last.eq(core.values.payload.last)]
    with m.If(watch.comes & core.nits.valid):
        m.d.comb += [
            Assert(core.nits.payload.nits[0] == nit, "another nit than the rule's"),
            Assert(core.nits.payload.last == last, "another last"),
        ]
    m.d.comb += [
        Assert(~core.nits.valid | (watch.inside != 0), "a word that was not given comes out"),
        Assert(core.threshold.ready, "a threshold waits"),
    ]
    # Nothing stays inside: an offer is made 5 cycles after the word before it could have been.
    waiting = Signal(range(7))
    m.d.sync += waiting.eq(Mux((watch.inside != 0) & ~core.nits.valid, waiting + 1, 0))
    m.d.comb += Assert(waiting < 5, "a word is not offered in time")
    m.d.sync += [
        Cover(watch.done & (nit == -3) & (watch.inside == Quantiser.CAPACITY)),
        Cover(watch.comes & core.nits.valid & (nit == 4) & (thresholds[3] == 77)),
    ]


PROOFS = (
    Proof(
        "quantiser",
        "rule",
        "every word comes out once, in order and in time, with its last and with the nits that the threshold rule "
        "gives by the thresholds of its acceptance, for every grid value and whatever is written; it stands until "
        "accepted",
        _rule,
        Method.BOUNDED,
        depth=15,
        cover=16,
        parameters={"mode": _MODE, "lanes": 1},
    ),
)
