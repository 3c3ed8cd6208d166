"""Streams under proof: assumptions on sources, assertions at sinks, and one followed word."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Assume, Module, Signal, Value

from ninefold.sim.formal.dut import Inside

__all__ = ["Watch", "drive", "follow", "follow_fifo"]


def drive(m: Module, stream: Any) -> Value:
    """Offer any payload at any time, stable until accepted; return whether one is accepted."""
    payload = Value.cast(stream.payload)
    m.d.comb += [stream.valid.eq(AnySeq(1)), payload.eq(AnySeq(len(payload)))]
    waits, before = Signal(name="source_waits"), Signal(len(payload), name="source_payload")
    m.d.sync += [waits.eq(stream.valid & ~stream.ready), before.eq(payload)]
    with m.If(waits):
        m.d.comb += Assume(stream.valid & (payload == before))
    return stream.valid & stream.ready


def follow(m: Module, stream: Any) -> Value:
    """Accept at any time, and assert that offers stay stable; return whether one is accepted."""
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
    """One word, followed from acceptance to exit.

    The choice of the word is free, so a property that holds for it holds for every word.

    Parameters
    ----------
    m : Module
        Module that receives the counters.
    accepted, left : Value
        Whether a word enters and one leaves in this cycle, one for one.
    most : int
        Maximum number of words inside.

    Attributes
    ----------
    inside : Signal
        Number of words inside.
    begins : Value
        The entering word is the followed one.
    waits : Signal
        The followed word has entered and not left.
    ahead : Signal
        Number of words before it.
    comes : Value
        The offered word, if any, is the followed one.
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
