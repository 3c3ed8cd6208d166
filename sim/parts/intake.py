"""Proof of the request intake: the way of every byte of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Const, Cover, Module, Mux, Signal, Value

from ninefold.hdl.miner.intake import Intake, Way
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow

__all__ = ["PROOFS", "PROOF_FAULTS"]

_MINER = MinerParameters(dimensions=4, lanes=2, depth=3, k=2, clock_hz=12_000_000, buffer_bytes=64)
_SIGNS = MinerParameters(
    dimensions=4, lanes=4, depth=3, k=0, clock_hz=12_000_000, buffer_bytes=64, design="signs", keep=2
)
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
    masks = hasattr(core, "mask")
    of_mask, masked = _mask(m, core, inside) if masks else (Const(0), Const(0))
    offers = (core.packed.valid & ~core.packed.ready) | (core.grid.valid & ~core.grid.ready)
    offers |= core.mask.valid & ~core.mask.ready if masks else Const(0)
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
        Assert(
            packed == (moves & ((way == Way.QUERY_PACKED) & ~of_mask | (way == Way.ROWS))), "a byte goes another way"
        ),
        Assert(grid == (moves & (way == Way.QUERY_GRID) & ~of_mask), "a byte goes another way"),
        Assert(masked == (moves & way.matches(Way.QUERY_PACKED, Way.QUERY_GRID) & of_mask), "a byte goes another way"),
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


def _mask(m: Module, core: Any, inside: Inside) -> tuple[Value, Value]:
    """Check the bytes of masks; return whether the next byte is one, and whether one is taken."""
    taken, byte, way = follow(m, core.mask), core.payload.payload.data, core.way
    size, queries = Signal.like(core.mask_bytes), way.matches(Way.QUERY_PACKED, Way.QUERY_GRID)
    moves = core.payload.valid & core.payload.ready
    # A byte of a query has been taken since the request began; the size of its mask is stable since before then.
    asked, settled, left = Signal(name="asked"), Signal(name="settled"), inside["left"]
    m.d.comb += [size.eq(AnyConst(len(size))), core.mask_bytes.eq(size)]
    m.d.sync += [settled.eq(1), asked.eq(~core.begin & (asked | (moves & queries)))]
    of_mask = Signal(name="byte_of_mask")
    m.d.comb += [
        of_mask.eq(left <= size),
        # Each request has a query before its mask, and its bytes go nowhere else once the query has begun.
        Assume(size < 2 ** (len(size) - 1)),
        Assume(~queries | asked | ~core.more | ~of_mask),
        Assume(~asked | queries | ~core.more),
        Assert(~settled | (inside["first"] == size + 1)),
        Assert(~core.more | settled),
        Assert(~core.more | (inside["of_mask"] == (asked & of_mask))),
        Assert(~core.mask.valid | (core.mask.payload.data == byte), "another byte of a mask"),
        Assert(~core.mask.valid | (core.mask.payload.last == (left == 1)), "a mask ends elsewhere"),
        Cover(taken & core.mask.payload.last & (size == 2)),
    ]
    return of_mask, taken


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
        "intake",
        "masks",
        "the same in the design signs, where the last bytes of a query's request, as many as asked, go to the mask, "
        "with the final one marked, if there is a byte of the query before them",
        _intake,
        Method.INDUCTION,
        depth=2,
        cover=14,
        parameters={"buffer_bytes": _SIGNS.buffer_bytes},
        make=lambda **_: Intake(_SIGNS),
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "ways": [
        ("hdl.miner.intake", "self.ends & rows & (left == 1)", "self.ends & (left == 1)"),
    ],
    "masks": [
        ("hdl.miner.intake", "first.eq(self.mask_bytes + 1)", "first.eq(self.mask_bytes)"),
        ("hdl.miner.intake", "query_grid & ~of_mask", "query_grid"),
    ],
}
