"""Proof of the quantiser: each word leaves with the nits of the threshold rule."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Cat, Cover, Module, Mux, Signal, Value, signed

from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import Watch, drive, follow, follow_fifo
from ninefold.spec.formats import NIT_BITS, THRESHOLDS, Mode

__all__ = ["PROOFS"]

_MODE: Mode = "tanh"


def _rule(m: Module, core: Any, inside: Inside) -> None:
    """Follow any word with the expected nit at its acceptance, while thresholds are written at any time."""
    accepted, left = drive(m, core.values), follow(m, core.nits)
    m.d.comb += [
        core.threshold.valid.eq(AnySeq(1)),
        core.threshold.payload.as_value().eq(AnySeq(18)),
    ]
    thresholds = Array(Signal(16, name=f"model_{i}", init=v) for i, v in enumerate(THRESHOLDS[_MODE].reached_at))
    write = core.threshold.payload
    with m.If(core.threshold.valid):
        m.d.sync += thresholds[write.index].eq(write.value)
    # A write applies to the word accepted in the same cycle.
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
    stages = _stages(m, inside, (watch, nit, last), thresholds)
    # No word stays inside: it is offered within 5 cycles after it could follow the previous word.
    waiting = Signal(range(7))
    m.d.sync += waiting.eq(Mux((watch.inside != 0) & ~core.nits.valid, waiting + 1, 0))
    m.d.comb += Assert(waiting < 5, "a word is not offered in time")
    # Reason: the first word advances one stage per cycle.
    most = Mux(inside["queue.queue.inner_level"] != 0, 3, Mux(stages[2], 2, stages[1]))
    m.d.comb += Assert(core.nits.valid | (waiting <= most))
    m.d.sync += [
        Cover(watch.done & (nit == -3) & (watch.inside == Quantiser.CAPACITY)),
        Cover(watch.comes & core.nits.valid & (nit == 4) & (thresholds[3] == 77)),
    ]


def _stages(m: Module, inside: Inside, followed: tuple[Watch, Signal, Signal], thresholds: Any) -> Value:
    """Assert the invariant: stage and value of the followed word; return the full stages."""
    watch, nit, last = followed
    full, lasts = inside["accepted"][1:], inside["last"][1:]
    # One bit per stage.
    at = Signal(len(full))
    m.d.sync += at.eq(Cat(watch.begins, at))
    held = follow_fifo(
        m, inside, "queue.queue.", Quantiser.CAPACITY, watch.waits & ~at.any(), watch.ahead, Cat(nit, last)
    )
    magnitude, negative, reached = (inside[name] for name in ("magnitude_0", "negative_0", "reached_0"))
    counts = sum(magnitude >= threshold for threshold in thresholds), sum(reached)
    values = [Mux(sign, -count, count) for sign, count in zip(negative, counts, strict=True)]
    for stage, value in enumerate((*values, inside["nit_0"])):
        with m.If(at[stage]):
            m.d.comb += [
                Assert(watch.waits & full[stage] & (watch.ahead == held + sum(full[stage + 1 :]))),
                Assert((value == nit) & (lasts[stage] == last)),
            ]
    m.d.comb += [
        Assert(at & (at - 1) == 0),
        Assert(~watch.waits | at.any() | (watch.ahead < held)),
        Assert(watch.inside == held + sum(full), "a word was lost or repeated"),
        Assert(inside["queue.credits"] + watch.inside == Quantiser.CAPACITY),
        *(Assert(inside[f"threshold_{i}"] == thresholds[i - 1]) for i in range(1, 5)),
    ]
    return full


PROOFS = (
    Proof(
        "quantiser",
        "rule",
        "every word leaves once, in order and in time, with its `last` and with the nits that the threshold rule "
        "gives for the thresholds at its acceptance, for every grid value and any writes. It stays stable until "
        "accepted",
        _rule,
        Method.INDUCTION,
        depth=2,
        cover=16,
        parameters={"mode": _MODE, "lanes": 1},
    ),
)
