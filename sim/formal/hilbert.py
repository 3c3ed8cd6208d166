"""Specification of the encoder and the decoder of the Hilbert curve: each undoes the other, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Cover, Module, Signal, Value
from amaranth.lib import data

from ninefold.hdl.cores.hilbert_decoder import HilbertDecoder
from ninefold.hdl.cores.hilbert_encoder import HilbertEncoder
from ninefold.hdl.parts.feed_forward import Step

__all__ = ["ALIGNED", "decoding", "encoding", "undone"]

#: Largest curve whose turns fill all steps, so that both cores have the same turns in a step.
ALIGNED = {"dimensions": 8, "bits": 8}


def encoding(core: HilbertEncoder) -> Sequence[Step]:
    """Return functions of plain values: the turns of the encoder, and all that it does after them."""
    point, given = data.ArrayLayout(core.bits, core.dimensions), core.input.payload.shape()
    first, *turned, coded, index = core.steps()
    return [
        lambda m, value: Value.cast(first(m, data.View(given, value))),
        *(_plain(step, point) for step in turned),
        lambda m, value: Value.cast(index(m, coded(m, data.View(point, value)))),
    ]


def decoding(core: HilbertDecoder) -> Sequence[Step]:
    """Return functions of plain values: all that the decoder does before its turns, and its turns."""
    point = data.ArrayLayout(core.bits, core.dimensions)
    first, *turned = core.steps()
    return [_plain(first, core.input.payload.shape()), *(_plain(step, point) for step in turned)]


def undone(m: Module, core: HilbertEncoder | HilbertDecoder) -> None:
    """Assert that the steps of the other core undo the steps of a core, one by one from its end.

    The value before each step is free, so no solver has to follow a value through all steps.
    """
    size = core.dimensions, core.bits
    steps, others = encoding(HilbertEncoder(*size)), decoding(HilbertDecoder(*size))
    if isinstance(core, HilbertDecoder):
        steps, others = others, steps
    for number, (step, undo) in enumerate(zip(steps, reversed(others), strict=True)):
        before = Signal(core.dimensions * core.bits, name=f"before_{number}")
        after = Signal(len(before), name=f"after_{number}")
        m.d.comb += [
            before.eq(AnySeq(len(before))),
            after.eq(step(m, before)),
            Assert(undo(m, after) == before, f"step {number} is not undone"),
        ]
        m.d.sync += Cover((before != after) & before.any())


def _plain(step: Step, layout: data.Layout) -> Step:
    return lambda m, value: Value.cast(step(m, data.View(layout, value)))
