"""Proof of the candidate store: each candidate of the last complete scan of a half is shown at its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value

from ninefold.hdl.miner.candidate_store import CandidateStore
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof

__all__ = ["PROOFS", "PROOF_FAULTS"]

_KEEP = 2


def _store(m: Module, core: Any, inside: Inside) -> None:
    """Follow the candidate of one half and number, of any scans of at most the number of candidates kept."""
    results = core.results
    given = Value.cast(results.payload)
    m.d.comb += [
        results.valid.eq(AnySeq(1)),
        given.eq(AnySeq(len(given))),
        core.address.eq(AnySeq(len(core.address))),
    ]
    number, half = Signal(range(_KEEP), name="number"), Signal(name="followed_half")
    m.d.comb += Cat(number, half).eq(AnyConst(2))
    # The half of the scan in progress, its candidates so far, and what is due at the followed place.
    now, count = Signal(name="now"), Signal(range(_KEEP + 1), name="so_far")
    due = Signal(len(results.payload.id) + len(results.payload.score), name="due")
    totals = [Signal(range(_KEEP + 1), name=f"due_total_{i}") for i in range(2)]
    ended = Signal(name="ended")
    stores, ends = results.valid & results.payload.valid, results.valid & results.payload.last
    m.d.comb += Assume(~stores | (count != _KEEP))
    m.d.sync += [count.eq(Mux(ends, 0, count + stores)), now.eq(now ^ ends), ended.eq(ends)]
    with m.If(stores & (now == half) & (count == number)):
        m.d.sync += due.eq(Cat(results.payload.id, results.payload.score))
    for i, total in enumerate(totals):
        with m.If(ends & (now == i)):
            m.d.sync += total.eq(count + stores)
    rows = Array(inside[f"memory.row_{i}"] for i in range(2 * _KEEP))
    m.d.comb += [
        Assert((inside["half"] == now) & (inside["count"] == count) & (count <= _KEEP)),
        Assert(rows[Cat(number, half)] == due),
        Assert(core.scanned == ended, "the end of a scan is not told, or told without one"),
        *(Assert(core.totals[i] == total, "another total") for i, total in enumerate(totals)),
    ]
    _shown(m, core, inside, (Cat(number, half), due, stores & (now == half) & (count == number)))
    m.d.sync += Cover(ended & (totals[0] == _KEEP) & (totals[1] == 1))


def _shown(m: Module, core: Any, inside: Inside, followed: tuple[Value, Value, Value]) -> None:
    """Assert the word at the followed place, unless it is written in the cycle of the read."""
    place, due, written = followed
    asked = [Signal(name=f"asked_{i}") for i in range(2)]
    was = [Signal(len(due), name=f"was_{i}") for i in range(2)]
    m.d.sync += [
        asked[0].eq((core.address == place) & ~written),
        asked[1].eq(asked[0]),
        was[0].eq(due),
        was[1].eq(was[0]),
    ]
    bits = len(core.results.payload.id)
    word = Cat(core.word.id[:bits], core.word.score[: len(due) - bits])
    m.d.comb += [
        Assert(~asked[0] | (inside["memory.read__data"] == was[0])),
        Assert(~asked[1] | (word == was[1]), "another candidate is shown"),
        Assert(core.word.id[bits:] == 0, "an id is extended"),
        Assert((core.word.score >> (len(due) - bits - 1)) == Mux(word[-1], -1, 0), "a score loses its sign"),
    ]


PROOFS = (
    Proof(
        "candidate_store",
        "halves",
        "candidates are shown at their numbers, in the half of their scan, until that half is written again; totals "
        "count them, and the end of each scan is told in the next cycle. Scans take the halves in turn, and have at "
        "most the number of candidates kept",
        _store,
        Method.INDUCTION,
        depth=2,
        cover=8,
        parameters={"dimensions": 1, "depth": 4, "keep": _KEEP},
        make=CandidateStore,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "halves": [
        ("hdl.miner.candidate_store", "self.totals[half].eq(total)", "self.totals[half].eq(count)"),
        ("hdl.miner.candidate_store", "Cat(count[:bits], half)", "Cat(count[:bits], 0)"),
        ("hdl.miner.candidate_store", "self.results.valid & result.valid", "self.results.valid"),
    ],
}
