"""Proofs of the connections between cores: order in the pipeline, and bytes around the quantiser."""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.pipeline import Pipeline
from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.cores.topk import TopK
from ninefold.hdl.miner.words import ByteQuantiser
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow
from ninefold.spec.formats import Mode

__all__ = ["PROOFS", "AnyCore", "AnyQuantiser"]

_MODE: Mode = "tanh"
#: Words of a query: no power of two, at which a counter of them would begin again by itself.
_BEATS = 3


class AnyCore(wiring.Component):
    """Replacement for a core: accepts inputs at any time, and offers any outputs, stable until accepted.

    Parameters
    ----------
    kind : type
        Class of the core.
    given : Any
        Parameters of the core.
    """

    def __init__(self, kind: Any, *given: Any, **named: Any) -> None:
        self._members = kind(*given, **named).signature.members
        super().__init__(dict(self._members))

    def elaborate(self, _platform: object) -> Module:
        """Drive all outputs of the core."""
        m = Module()
        for name, member in self._members.items():
            stream = getattr(self, name)
            if member.is_port:
                value = Value.cast(stream)
                m.d.comb += value.eq(AnySeq(len(value))) if member.flow is Out else []
                continue
            if member.flow is In:
                m.d.comb += stream.ready.eq(self.takes(name))
                continue
            payload = Value.cast(stream.payload)
            offer, before = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_before")
            m.d.sync += [offer.eq(stream.valid & ~stream.ready), before.eq(payload)]
            m.d.comb += [
                stream.valid.eq(offer | (AnySeq(1) & self.gives(name))),
                payload.eq(Mux(offer, before, AnySeq(len(payload)))),
            ]
        return m

    def takes(self, _name: str) -> Value:
        """Return whether something is taken from a stream."""
        return AnySeq(1)

    def gives(self, _name: str) -> Value | int:
        """Return whether there may be something to give."""
        return 1


class AnyQuantiser(AnyCore):
    """Replacement for a quantiser: emits as many words as it accepts, at any time, with any nits.

    Parameters
    ----------
    mode, lanes :
        Parameters of the quantiser.

    Attributes
    ----------
    held : Signal
        Words inside.
    """

    CAPACITY = Quantiser.CAPACITY

    def __init__(self, mode: Any, lanes: int) -> None:
        super().__init__(Quantiser, mode, lanes)
        self.held = Signal(range(self.CAPACITY + 1), name="inside")

    def elaborate(self, platform: object) -> Module:
        """Count the words."""
        m = super().elaborate(platform)
        m.d.sync += self.held.eq(
            self.held + (self.values.valid & self.values.ready) - (self.nits.valid & self.nits.ready)
        )
        return m

    def takes(self, name: str) -> Value:
        """Return whether there is room."""
        return AnySeq(1) & (self.held != self.CAPACITY) if name == "values" else AnySeq(1)

    def gives(self, _name: str) -> Value:
        """Return whether there is a word."""
        return self.held != 0


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


def _halves(m: Module, core: Any, inside: Inside) -> None:
    """Offer bytes at any time; the quantiser between returns any nits."""
    accepted, left = drive(m, core.input), follow(m, core.output)
    m.d.comb += [core.threshold.valid.eq(AnySeq(1)), core.threshold.payload.as_value().eq(AnySeq(18))]
    byte, nit = core.input.payload.data, inside["quantiser.nits__payload"][:4]
    odd, low, second, first = Signal(), Signal(8), Signal(), Signal(4)
    given = inside["quantiser.nits__valid"] & inside["nits__ready"]
    m.d.sync += [odd.eq(odd ^ accepted), second.eq(second ^ given)]
    with m.If(accepted & ~odd):
        m.d.sync += low.eq(byte)
    with m.If(given & ~second):
        m.d.sync += first.eq(nit)
    held = inside["quantiser.inside"]
    m.d.comb += [
        Assert((inside["values__valid"] & inside["quantiser.values__ready"]) == (accepted & odd), "a value is lost"),
        Assert(~(accepted & odd) | (inside["values__payload"][:16] == Cat(low, byte)), "another value"),
        Assert(core.input.ready | odd, "the first byte of a value waits"),
        Assert(left == (given & second), "a byte is lost or made up"),
        Assert(~core.output.valid | (core.output.payload.data == Cat(first, nit)), "another byte"),
        Assert(inside["nits__ready"] | second, "the first nit of a byte waits"),
        Assert(inside["threshold__valid"] == core.threshold.valid, "a threshold is lost"),
        Assert(inside["threshold__payload"] == core.threshold.payload.as_value(), "another threshold"),
        Assert((inside["high_next"] == odd) & (inside["second_next"] == second)),
        Assert(~odd | (inside["$signal#0"] == low)),
        Assert(~second | (inside["$signal#1"] == first)),
        Assert((held <= Quantiser.CAPACITY) & ((held != 0) | ~inside["quantiser.nits_waits"])),
    ]
    again = Signal()
    m.d.sync += [again.eq(again | left), Cover(again & left & (core.output.payload.data == 0x4C))]


def _around_any(mode: Mode) -> Any:
    return with_parts(ByteQuantiser, Quantiser=AnyQuantiser)(mode)


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
    Proof(
        "byte_quantiser",
        "halves",
        "each two bytes make a value for the quantiser, low byte first, and each two nits of its a byte, the first in "
        "the low half, once, in order, unchanged; bytes are stable until accepted, around a quantiser that behaves "
        "arbitrarily within its streams",
        _halves,
        Method.INDUCTION,
        depth=2,
        cover=14,
        parameters={"mode": _MODE},
        make=_around_any,
    ),
)
