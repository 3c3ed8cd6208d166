"""Streams under proof: what a source may do, what a sink must see, and one word that is followed through."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Module, Signal, Value

__all__ = ["Watch", "drive", "follow"]


def drive(m: Module, stream: Any) -> Value:
    """Offer anything at any time on an input, each offer until it is accepted; returns whether one is accepted."""
    payload = Value.cast(stream.payload)
    m.d.comb += [stream.valid.eq(AnySeq(1)), payload.eq(AnySeq(len(payload)))]
    waits, before = Signal(name="source_waits"), Signal(len(payload), name="source_payload")
    m.d.sync += [waits.eq(stream.valid & ~stream.ready), before.eq(payload)]
    with m.If(waits):
        m.d.comb += Assume(stream.valid & (payload == before))
    return stream.valid & stream.ready


def follow(m: Module, stream: Any) -> Value:
    """Accept at any time from an output, and assert that offers stand; returns whether one is accepted."""
    payload = Value.cast(stream.payload)
    m.d.comb += stream.ready.eq(AnySeq(1))
    waits, before = Signal(name="sink_waits"), Signal(len(payload), name="sink_payload")
    m.d.sync += [waits.eq(stream.valid & ~stream.ready), before.eq(payload)]
    with m.If(waits):
        m.d.comb += [
            Assert(stream.valid, "an offer was withdrawn"),
            Assert(payload == before, "an offer changed"),
        ]
    return stream.valid & stream.ready


class Watch:
    """Any one word, followed from its acceptance to its exit.

    Which word is chosen is free, so that what holds of it holds of each.

    Parameters
    ----------
    m : Module
        Gets the counters.
    accepted, left : Value
        Whether a word enters and one leaves in this cycle, one for one.
    most : int
        Words that may be inside at once.

    Attributes
    ----------
    inside : Signal
        Words inside.
    begins : Value
        The word that enters is the chosen one.
    waits : Signal
        It has entered and not left.
    ahead : Signal
        Words before it.
    comes : Value
        The word that is on offer is the chosen one, if there is an offer.
    """

    def __init__(self, m: Module, accepted: Value, left: Value, most: int) -> None:
        self.inside = Signal(range(most + 1), name="inside")
        self.ahead = Signal(range(most + 1), name="ahead")
        self.waits = Signal(name="watched")
        done = Signal(name="watch_done")
        self.done = done
        self.begins = accepted & AnySeq(1) & ~self.waits & ~done
        self.comes = self.waits & (self.ahead == 0)
        m.d.sync += self.inside.eq(self.inside + accepted - left)
        with m.If(self.begins):
            m.d.sync += [self.waits.eq(1), self.ahead.eq(self.inside - left)]
        with m.Elif(self.comes & left):
            m.d.sync += [self.waits.eq(0), done.eq(1)]
        with m.Elif(self.waits):
            m.d.sync += self.ahead.eq(self.ahead - left)
        m.d.comb += [
            Assert(~left | (self.inside != 0), "more words left than entered"),
            Assert(~self.waits | (self.ahead < self.inside)),
        ]
