"""Proof of the counter: every event is counted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Module, Mux, Signal

from ninefold.hdl.miner.counters import Counter
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS", "PROOF_FAULTS"]

_HOLD_MOST = 255
#: Start value shortly before the counter wraps around.
_COUNT_FROM = -3


def _counter(m: Module, core: Any, inside: Inside) -> None:
    """Compare with a model count; the counter is held for any time up to the maximum."""
    m.d.comb += [core.event.eq(AnySeq(1)), core.hold.eq(AnySeq(1)), core.clear.eq(AnySeq(1))]
    begun, held = Signal(), Signal(range(_HOLD_MOST + 1))
    total, shown = Signal.like(core.value), Signal.like(core.value)
    m.d.sync += [begun.eq(1), held.eq(Mux(core.hold, held + 1, 0)), shown.eq(core.value)]
    m.d.comb += [Assume(begun | core.clear), Assume(~core.hold | (held != _HOLD_MOST))]
    kept = Signal()
    m.d.sync += kept.eq(core.hold & ~core.clear)
    with m.If(core.clear):
        m.d.sync += total.eq(_COUNT_FROM)
    with m.Else():
        m.d.sync += total.eq(total + core.event)
    pending = inside["pending"]
    with m.If(begun):
        m.d.comb += [
            Assert(total == (core.value + pending)[: len(total)], "an event is lost or made up"),
            Assert(pending <= held + 1),
            Assert(~kept | (core.value == shown), "the count changes while it is held"),
            Assert(kept | (held == 0) | (pending <= 1)),
        ]
    m.d.sync += [Cover((held == 5) & (pending == 4) & (core.value == 1)), Cover(core.value == 6)]


PROOFS = (
    Proof(
        "counter",
        "count",
        "every event is counted once: the count is the start value plus the events since it was cleared, except "
        "events in the last cycle and while it is held. It does not change while held, for up to 255 cycles",
        _counter,
        Method.INDUCTION,
        depth=2,
        cover=14,
        parameters={"width": 6, "first": _COUNT_FROM},
        make=Counter,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "count": [("hdl.miner.counters", "pending.eq(pending + self.event)", "pending.eq(pending)")],
}
