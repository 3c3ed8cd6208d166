"""Proof of the pipeline: order of loads and queries between its cores."""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Cover, Module, Mux, Signal

from ninefold.hdl.cores.pipeline import Pipeline
from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.cores.topk import TopK
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCore, AnyQuantiser
from ninefold.sim.formal.streams import drive, follow
from ninefold.spec.formats import Mode

__all__ = ["PROOFS"]

_MODE: Mode = "tanh"
#: Words of a query: no power of two, at which a counter of them would begin again by itself.
_BEATS = 3


def _order(m: Module, core: Any, inside: Inside) -> None:
    """Offer values and loads at any time, and check what reaches quantiser and engine."""
    accepted, loaded = drive(m, core.values), drive(m, core.load)
    follow(m, core.results)
    m.d.comb += [core.threshold.valid.eq(AnySeq(1)), core.threshold.payload.as_value().eq(AnySeq(18))]
    state, held = inside["fsm_state"], inside["quantiser.inside"]
    beat = Signal(range(_BEATS))
    with m.If(accepted):
        m.d.sync += beat.eq(Mux(beat == _BEATS - 1, 0, beat + 1))
    # A load may start after reset, or after it waited until no query was inside; it continues to its last word.
    loading, waits = Signal(init=1), Signal()
    m.d.sync += waits.eq(core.load.valid & ~loading)
    with m.If(loaded & core.load.payload.last):
        m.d.sync += loading.eq(0)
    with m.Elif(waits & (beat == 0) & (held == 0)):
        m.d.sync += loading.eq(1)
    m.d.comb += [
        Assert(loading | ~loaded, "a load overtakes a query"),
        Assert(loading | ~waits | (beat != 0) | ~core.values.ready, "a query begins while a load waits"),
        Assert(accepted == (inside["values__valid"] & inside["quantiser.values__ready"]), "a word is lost"),
        Assert(~accepted | (inside["values__payload"] == core.values.payload.as_value()), "another word"),
        Assert(loaded == (inside["load__valid"] & inside["engine.load__ready"]), "a word of a load is lost"),
        Assert(~loaded | (inside["load__payload"] == core.load.payload.as_value()), "another word"),
        Assert(state == Mux(loading, 0, Mux(waits, 2, 1))),
        Assert((inside["held"] == held) & (inside["beat"] == beat) & (beat < _BEATS)),
        Assert((held <= Quantiser.CAPACITY) & ((held != 0) | ~inside["quantiser.nits_waits"])),
    ]
    again = Signal(2)
    m.d.sync += [
        again.eq(again + (loaded & core.load.payload.last & (again != 3))),
        Cover((again == 2) & (held == 3) & (beat == 1)),
        Cover(waits & (held == Quantiser.CAPACITY)),
    ]


def _among_any(**given: Any) -> Any:
    parts = {"Similarity": partial(AnyCore, Similarity), "TopK": partial(AnyCore, TopK)}
    return with_parts(Pipeline, Quantiser=AnyQuantiser, **parts)(**given)


PROOFS = (
    Proof(
        "pipeline",
        "order",
        "a load waits until each query of which a word was accepted is completely accepted and has left the "
        "quantiser, and no query begins while one waits; words of queries and loads pass unchanged, and results are "
        "stable until accepted, in a pipeline whose quantiser, engine and top-k core behave arbitrarily within their "
        "streams",
        _order,
        Method.INDUCTION,
        depth=2,
        cover=16,
        parameters={"mode": _MODE, "dimensions": _BEATS, "lanes": 1, "depth": 2, "k": 2},
        make=_among_any,
    ),
)
