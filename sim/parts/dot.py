"""Proof of the dot product: the sum of the products of any two words of nits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Module, Signal, Value, signed

from ninefold.hdl.parts.dot import DotProduct, trit_pair
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.spec.formats import NIT_BITS, NIT_MAX, NIT_MIN

__all__ = ["PROOFS", "PROOF_FAULTS", "is_nit"]

_LANES = 2


def is_nit(value: Value) -> Value:
    """Return whether a value is one of the nine nits."""
    return (value >= NIT_MIN) & (value <= NIT_MAX)


def _dot(m: Module, core: Any, _inside: Inside) -> None:
    """Drive any two words of nits at any time, and compare with the naive sum."""
    ours, theirs = ([Signal(signed(NIT_BITS), name=f"{n}_{i}") for i in range(_LANES)] for n in ("ours", "theirs"))
    width = len(core.sum)
    naive = Signal(signed(width))
    line = [Signal(signed(width), name=f"naive_{i}") for i in range(core.latency)]
    full = Signal(range(core.latency + 1))
    for lane, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        m.d.comb += [
            one.eq(AnySeq(NIT_BITS)),
            other.eq(AnySeq(NIT_BITS)),
            Assume(is_nit(one) & is_nit(other)),
            core.nits[lane].eq(one),
            core.trits[lane].eq(trit_pair(other)),
        ]
    m.d.comb += naive.eq(sum(one * other for one, other in zip(ours, theirs, strict=True)))
    m.d.sync += [line[0].eq(naive), full.eq(full + (full != core.latency))]
    m.d.sync += [behind.eq(before) for before, behind in pairwise(line)]
    with m.If(full == core.latency):
        m.d.comb += Assert(core.sum == line[-1], "the sum is another")
    m.d.sync += [Cover(core.sum == _LANES * 16), Cover(core.sum == -_LANES * 16)]


PROOFS = (
    Proof(
        "dot",
        "sum",
        "the dot product of any two words of nits is the sum of their products, after a fixed latency",
        _dot,
        Method.INDUCTION,
        depth=8,
        cover=10,
        parameters={"lanes": _LANES},
        make=DotProduct,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "sum": [("hdl.parts.dot", "high.sum + (high.sum << 1)", "high.sum << 1")],
}
