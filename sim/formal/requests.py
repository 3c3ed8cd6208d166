"""Proofs of the request intake and of the word store."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cover, Module, Mux, Signal

from ninefold.hdl.miner.intake import Intake, Way
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.parts.store import WordStore
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS"]

_MINER = MinerParameters(dimensions=4, lanes=2, depth=3, k=2, clock_hz=12_000_000, buffer_bytes=64)
_COLLECTED = 4


def _intake(m: Module, core: Any, inside: Inside) -> None:
    """Route the bytes of requests any way, and follow one of the collected bytes."""
    for name in ("begin", "length", "way", "restart", "ends"):
        m.d.comb += getattr(core, name).eq(AnySeq(len(getattr(core, name))))
    moves = drive(m, core.payload)
    packed, grid = follow(m, core.packed), follow(m, core.grid)
    byte, way = core.payload.payload.data, core.way
    collects = (way == Way.COLLECT) & ~core.collected
    # The executor keeps a route until a byte has taken it, collects again when it has the collected bytes, and begins
    # after the end of a request.
    waits, went, ended = Signal(), Signal.like(way), Signal()
    offers = (core.packed.valid & ~core.packed.ready) | (core.grid.valid & ~core.grid.ready)
    m.d.sync += [waits.eq(offers), went.eq(way), ended.eq(core.ends)]
    m.d.comb += [
        Assume(way.matches(*Way)),
        Assume(~waits | ((way == went) & (core.ends == ended))),
        Assume(~core.restart | (way != Way.COLLECT) | core.collected),
        Assume(~core.begin | ~core.more),
    ]
    left, count, place, kept = Signal.like(core.length), Signal(range(_COLLECTED + 1)), Signal(2), Signal(8)
    m.d.sync += left.eq(Mux(core.begin, core.length, left - moves))
    m.d.sync += count.eq(Mux(core.begin | core.restart, 0, count + (moves & collects)))
    m.d.comb += place.eq(AnyConst(2))
    with m.If(moves & collects & (count == place)):
        m.d.sync += kept.eq(byte)
    rows, row_byte = Signal(), Signal(8)
    m.d.sync += [rows.eq(moves & (way == Way.ROWS)), row_byte.eq(byte)]
    m.d.comb += [
        Assert(core.more == (left != 0), "the length of a request is another"),
        Assert(~moves | core.more, "a byte of the next request is taken"),
        Assert(packed == (moves & ((way == Way.QUERY_PACKED) | (way == Way.ROWS))), "a byte goes another way"),
        Assert(grid == (moves & (way == Way.QUERY_GRID)), "a byte goes another way"),
        Assert(~(moves & (way == Way.COLLECT)) | collects, "more than four are collected"),
        Assert(~moves | (way != Way.HOLD)),
        Assert(~core.packed.valid | (core.packed.payload.data == byte), "another byte is passed on"),
        Assert(~core.grid.valid | (core.grid.payload.data == byte), "another byte is passed on"),
        Assert(~packed | (core.packed.payload.last == (core.ends & (way == Way.ROWS) & (left == 1)))),
        Assert(core.row_byte.valid == rows, "a byte of a row is lost or made up"),
        Assert(~rows | (core.row_byte.payload.data == row_byte), "another byte of a row"),
        Assert(core.collected == (count == _COLLECTED)),
        Assert(count <= _COLLECTED),
        Assert(inside["left"] == left),
        Assert(inside["count"] == count),
    ]
    with m.If(place < count):
        m.d.comb += Assert(core.recent.word_select((_COLLECTED - count + place)[:2], 8) == kept, "another is collected")
    again = Signal()
    m.d.sync += [
        again.eq(again | (core.begin & core.collected)),
        Cover(again & core.collected & (core.recent == 0x04030201)),
        Cover(again & packed & core.packed.payload.last),
    ]


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
        "intake",
        "ways",
        "every byte of a request, and none of the next, goes to the requested route once, in order and unchanged. The "
        "last byte of the rows is marked, and the last four collected bytes are shown. No more are taken. This holds "
        "if a route is kept until a byte has taken it and a request begins after the end of the previous one",
        _intake,
        Method.INDUCTION,
        depth=2,
        cover=14,
        parameters={"buffer_bytes": _MINER.buffer_bytes},
        make=lambda **_: Intake(_MINER),
    ),
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
