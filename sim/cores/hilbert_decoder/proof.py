"""Proofs of the decoder of the Hilbert curve: the golden model's points, neighbours, and the inverse of the encoder."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Module, Signal, Value

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.feed_forward import computed, follow_function, looked_up
from ninefold.sim.formal.hilbert import ALIGNED, undone
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.golden.hilbert_inverse import point_of
from ninefold.sim.testbench.fields import join

__all__ = ["PROOFS"]

_SMALL = {"dimensions": 2, "bits": 3}
_LARGE = {"dimensions": 3, "bits": 3}


def _points(m: Module, core: Any, inside: Inside) -> None:
    """Follow any index, whose point is looked up."""
    width = core.dimensions * core.bits
    points = (point_of(index, core.dimensions, core.bits) for index in range(1 << width))
    words = [join((coordinate, core.bits) for coordinate in point) for point in points]
    watch = follow_function(m, core, inside, lambda payload: looked_up(words, payload.index))
    m.d.sync += [
        Cover(watch.done & (watch.inside == core.capacity)),
        Cover(watch.comes & core.output.valid & (core.output.payload.coords[1] == 5)),
    ]


def _neighbours(m: Module, core: Any, _inside: Inside) -> None:
    """Compare the points at any index and the next."""
    here, there = (Signal(core.input.payload.shape(), name=name) for name in ("here", "there"))
    m.d.comb += [
        here.index.eq(AnySeq(core.dimensions * core.bits)),
        there.index.eq(here.index + 1),
        Assume(~here.index.all()),
    ]
    shape = core.output.payload.shape()
    one, other = (Signal(shape, name=name) for name in ("one", "other"))
    m.d.comb += [Value.cast(one).eq(computed(m, core, here)), Value.cast(other).eq(computed(m, core, there))]
    pairs = [(one.coords[i], other.coords[i]) for i in range(core.dimensions)]
    equal = [a == b for a, b in pairs]
    m.d.comb += [
        Assert(sum(equal) == core.dimensions - 1, "another number of coordinates than one changes"),
        *(Assert((a == b) | (a == b + 1) | (b == a + 1), "it changes by more than 1") for a, b in pairs),
    ]
    m.d.sync += Cover(~equal[0] & here.index[-1])


def _inverse(m: Module, core: Any, _inside: Inside) -> None:
    """Undo each step of the decoder, from any value before it, by the step of the encoder in its place from the end."""
    undone(m, core)


PROOFS = (
    Proof(
        "hilbert_decoder",
        "points",
        "every index leaves once, in order and in time, as the golden model's point, and stays stable until accepted",
        _points,
        Method.INDUCTION,
        depth=2,
        cover=16,
        parameters=_SMALL,
    ),
    Proof(
        "hilbert_decoder",
        "neighbours",
        "the points at any index and the next differ in one coordinate, by 1",
        _neighbours,
        Method.INDUCTION,
        depth=1,
        cover=2,
        parameters=_LARGE,
    ),
    Proof(
        "hilbert_decoder",
        "inverse",
        "each step of the decoder is undone by a step of the encoder, in reverse order, so the encoder gives the index "
        "of the point at each index",
        _inverse,
        Method.INDUCTION,
        depth=1,
        cover=2,
        parameters=ALIGNED,
    ),
)
