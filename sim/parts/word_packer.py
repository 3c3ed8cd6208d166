"""Proofs of the word packer: every word has the bytes accepted since the previous one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value

from ninefold.hdl.miner.words import WordPacker
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS", "PROOF_FAULTS"]

_SHORT, _LONG = 6, 34


def _packer(m: Module, core: Any, inside: Inside, cycles: int) -> None:
    """Follow the byte at any place of every word, with delayed arrival and with restarts at any time."""
    accepted, left = drive(m, core.input), follow(m, core.words)
    nits = Value.cast(core.words.payload.nits)
    size = len(nits) // 8
    place, byte, last = Signal(range(size)), Signal(8), Signal()
    count = Signal(range(size + 1))
    m.d.comb += [
        place.eq(AnyConst(len(place))),
        core.restart.eq(AnySeq(1)),
        Assume(place < size),
        Assume(~core.restart | ~core.pending),
    ]
    with m.If(core.restart | left):
        m.d.sync += count.eq(0)
    with m.Elif(accepted):
        m.d.sync += [count.eq(count + 1), last.eq(core.input.payload.last)]
        with m.If(count == place):
            m.d.sync += byte.eq(core.input.payload.data)
    late = Signal(range(cycles + 2))
    m.d.sync += late.eq(Mux(core.pending & ~core.words.valid, late + 1, 0))
    m.d.comb += [
        Assert(core.pending == (count == size), "a word is not as long as it should be"),
        Assert(core.input.ready == ~core.pending),
        Assert(~core.words.valid | core.pending, "a word is offered before it is complete"),
        Assert(late <= cycles, "a word is not offered in time"),
    ]
    with m.If(core.words.valid):
        m.d.comb += [
            Assert(nits.word_select(place, 8) == byte, "another byte is at this place"),
            Assert(core.words.payload.last == last, "another last"),
        ]
    way = Signal(cycles)
    if cycles:
        m.d.sync += way.eq(Mux(core.restart | left, 0, Cat(accepted, way)))
        _on_the_way(m, core, inside, (way, count), accepted)
        m.d.comb += Assert(~core.pending | core.words.valid | (late == sum(inside["settled"][:-1])))
    _shifted(m, inside, (count, place, byte, last), way, size)
    words, forgotten = Signal(2), Signal()
    m.d.sync += [
        words.eq(words + (left & (words != 3))),
        forgotten.eq(forgotten | (core.restart & (count == 1))),
        Cover((words == 1) & core.words.valid & forgotten & (byte == 0x4C)),
    ]


def _on_the_way(m: Module, core: Any, inside: Inside, ours: tuple[Signal, Signal], accepted: Value) -> None:
    """Assert when the bytes of a long word are in transit, and that its groups move together."""
    (way, count), settled = ours, inside["settled"]
    arrived = Signal.like(way)
    m.d.sync += arrived.eq(Cat(accepted, arrived))
    m.d.comb += [
        Assert(inside["arrived"] == arrived[0]),
        Assert(way & ~arrived == 0),
        # Bytes dropped by a restart are before the others.
        *(Assert((arrived[i] == way[i]) | (count == sum(way[:i]))) for i in range(len(way))),
        *(Assert(~settled[i] | (core.pending & ~way[: i + 1].any())) for i in range(len(way))),
        *(Assert(~settled[i] | settled[i - 1]) for i in range(1, len(way))),
    ]
    for name in [name for name in inside if name.startswith("moved_before_")]:
        there = arrived[1 if "region" in name else -1]
        m.d.comb += Assert(inside[name] ^ inside[name.replace("_before", "")] == there)


def _shifted(m: Module, inside: Inside, followed: tuple[Signal, ...], way: Signal, size: int) -> None:
    """Assert the invariant: the position of the byte in the shift register or on the way to it."""
    count, place, byte, last = followed
    there = Signal.like(count)
    m.d.comb += [
        there.eq(count - sum(way)),
        Assert(count <= size),
        Assert(Mux(count == size, inside["count"] == 0, inside["count"] == count)),
        Assert((count != size) | (inside["last"] == last)),
        Assert(sum(way) <= count),
    ]
    with m.If(place < there):
        m.d.comb += Assert(inside["word"].word_select((size - there + place)[: len(place)], 8) == byte)
    for i in range(len(way)):
        with m.If(way[i] & (place == there + sum(way[i + 1 :]))):
            m.d.comb += Assert(inside[f"byte_{i}"] == byte)


def _by_regions(**given: Any) -> Any:
    """Build a packer that reaches its groups as if there were many."""
    return with_parts(WordPacker, relays_to=lambda _: 2)(**given)


PROOFS = (
    Proof(
        "word_packer",
        "words",
        "every word has the bytes accepted since the previous word or a restart, in order, and `last` of its final "
        "byte. It is offered once, as soon as it is complete, and stays stable until accepted. Restarts come only "
        "while no word is complete",
        partial(_packer, cycles=0),
        Method.INDUCTION,
        depth=2,
        cover=14,
        parameters={"lanes": _SHORT},
        make=WordPacker,
    ),
    Proof(
        "word_packer",
        "long_words",
        "the same for words of more than one group of bytes, offered two cycles after they are complete",
        partial(_packer, cycles=2),
        Method.INDUCTION,
        depth=2,
        cover=46,
        parameters={"lanes": _LONG},
        make=WordPacker,
    ),
    Proof(
        "word_packer",
        "longest_words",
        "the same for words whose groups are reached through regions, offered three cycles after they are complete",
        partial(_packer, cycles=3),
        Method.INDUCTION,
        depth=2,
        cover=48,
        parameters={"lanes": _LONG},
        make=_by_regions,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "words": [
        ("hdl.miner.words", "pending.eq(count == self._bytes - 1)", "pending.eq(count == self._bytes - 2)"),
    ],
    "long_words": [
        ("hdl.miner.words", "Cat(self.pending, settled)[-1]", "Cat(self.pending, settled)[-2]"),
    ],
    "longest_words": [("hdl.parts.relay", "regions[i // _NEIGHBOURS]", "pulse")],
}
