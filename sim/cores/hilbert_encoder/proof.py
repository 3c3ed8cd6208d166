"""Proofs of the encoder of the Hilbert curve: the golden model's index of each point, and no index twice."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cover, Module, Value

from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.feed_forward import follow_function, looked_up
from ninefold.sim.formal.hilbert import ALIGNED, undone
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.golden.hilbert import index_of
from ninefold.sim.testbench.fields import split

__all__ = ["PROOFS"]

_SMALL = {"dimensions": 2, "bits": 3}


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
    """Undo each step of the encoder, from any value before it, by the step of the decoder in its place from the end.

    Each step of the encoder is then one to one, and its whole too, because there are as many indices as points.
    """
    undone(m, core)


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
        "each step of the encoder is undone by a step of the decoder, in reverse order, so no two points have the same "
        "index and the decoder gives the point of each",
        _bijection,
        Method.INDUCTION,
        depth=1,
        cover=2,
        parameters=ALIGNED,
    ),
)
