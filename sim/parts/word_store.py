"""Proof of the word store: a read word is the last one written, after a fixed latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Cover, Module, Mux, Signal

from ninefold.hdl.parts.store import WordStore
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS", "PROOF_FAULTS"]


def _store(m: Module, core: Any, inside: Inside) -> None:
    """Write and read any address at any time, but never read an address in the cycle of its write."""
    for name in ("write", "write_address", "write_word", "read_address"):
        m.d.comb += getattr(core, name).eq(AnySeq(len(getattr(core, name))))
    clashes = core.write & (core.write_address == core.read_address)
    depth, width = 1 << len(core.read_address), len(core.read_word)
    now, later = (Array(Signal(width, name=f"{name}_{i}") for i in range(depth)) for name in ("now", "later"))
    write, address, word = Signal(), Signal.like(core.write_address), Signal(width)
    m.d.sync += [write.eq(core.write), address.eq(core.write_address), word.eq(core.write_word)]
    with m.If(core.write):
        m.d.sync += now[core.write_address].eq(core.write_word)
    with m.If(write):
        m.d.sync += later[address].eq(word)
    # A read value passes through these registers, and is compared unless its address was written meanwhile.
    line = [Signal(width + 1, name=f"expected_{i}") for i in range(core.latency)]
    m.d.sync += [line[0].eq((now[core.read_address] << 1) | ~clashes)]
    m.d.sync += [behind.eq(before) for before, behind in pairwise(line)]
    m.d.comb += Assert(~line[-1][0] | (core.read_word == line[-1][1:]), "another word is read")
    for i in range(depth):
        m.d.comb += [
            Assert(inside[f"memory.row_{i}"] == later[i]),
            Assert(now[i] == Mux(write & (address == i), word, later[i])),
        ]
    m.d.comb += Assert(inside["write__en"] == write)
    m.d.sync += Cover(line[-1][0] & (core.read_word == 2) & (now[1] == 3))


PROOFS = (
    Proof(
        "word_store",
        "words",
        "every address shows the word last written there, in its cycle, for any other writes. The address "
        "of a word written in the same cycle may show any value",
        _store,
        Method.INDUCTION,
        depth=3,
        cover=10,
        parameters={"width": 2, "depth": 4, "exclusive": False},
        make=WordStore,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "words": [("hdl.parts.store", "written_before.eq(written)", "written_before.eq(0)")],
}
