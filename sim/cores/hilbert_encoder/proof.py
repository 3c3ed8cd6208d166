"""Proofs of the encoder of the Hilbert curve: the golden model's index of each point, and no index twice."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Cover, Module, Signal, Value

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.feed_forward import computed, follow_function, looked_up
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.golden.hilbert import index_of
from ninefold.sim.testbench.fields import split

__all__ = ["PROOFS"]

_SMALL = {"dimensions": 2, "bits": 3}
_LARGE = {"dimensions": 3, "bits": 3}


def _indices(m: Module, core: Any, inside: Inside) -> None:
    """Follow any point, whose index is looked up."""
    sizes = [core.bits] * core.dimensions
    indices = [index_of(split(point, sizes), core.bits) for point in range(1 << sum(sizes))]
    watch = follow_function(m, core, inside, lambda payload: looked_up(indices, Value.cast(payload)))
    m.d.sync += [
        Cover(watch.done & (watch.inside == core.capacity)),
        Cover(watch.comes & core.output.valid & (core.output.payload.index == 40)),
    ]


def _bijection(m: Module, core: Any, _inside: Inside) -> None:
    """Compare the indices of any two points; as there are as many indices as points, each is that of a point."""
    layout = core.input.payload.shape()
    one, other = (Signal(layout, name=name) for name in ("one", "other"))
    for point in (one, other):
        m.d.comb += Value.cast(point).eq(AnySeq(layout.size))
    same = Value.cast(one) == Value.cast(other)
    m.d.comb += Assert(same | (computed(m, core, one) != computed(m, core, other)), "two points have one index")
    m.d.sync += Cover(~same)


PROOFS = (
    Proof(
        "hilbert_encoder",
        "indices",
        "every point leaves once, in order and in time, with the golden model's index, and stays stable until accepted",
        _indices,
        Method.INDUCTION,
        depth=2,
        cover=16,
        parameters=_SMALL,
    ),
    Proof(
        "hilbert_encoder",
        "bijection",
        "no two points have the same index",
        _bijection,
        Method.INDUCTION,
        depth=1,
        cover=2,
        parameters=_LARGE,
    ),
)
