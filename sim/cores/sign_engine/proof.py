"""Proof of the sign engine: each score belongs to its query and row, and is the signed nit."""

from __future__ import annotations

from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cover, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring

from ninefold.hdl.cores.sign_engine import SignEngine
from ninefold.hdl.parts.sign_tables import TABLE_DIMENSIONS, SignTables
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow
from ninefold.sim.parts.dot import is_nit
from ninefold.sim.parts.sign_tables import agreeing
from ninefold.spec.formats import NIT_BITS

__all__ = ["PROOFS"]

_ROWS = 2
_DEPTH = 3
_PASSES = 1
_WORDS = -(-_DEPTH // _ROWS)
#: Cycles of a fill in the proof, in which magnitudes are added; tables have a proof of their own.
_FILL = 4


class PlainTables(wiring.Component):
    """Replacement for the tables: the sum of four nits is computed; while they are filled, it is any value.

    Parameters
    ----------
    nits, width, rows, beats : int
        As for the tables: four nits, as one word, in one beat.

    Attributes
    ----------
    latency : int
        One cycle.

    Members
    -------
    shift, word, passed, fill, signs, beat, operands, carries : In and Out
        As for the tables.
    """

    latency = 1
    part = staticmethod(SignTables.part)

    def __init__(self, nits: int, width: int, rows: int, beats: int) -> None:
        self._rows = rows
        super().__init__(dict(SignTables(nits, width, rows, beats).signature.members))

    def elaborate(self, _platform: object) -> Module:
        """Compute the sums of the nits as they are in the last cycle of the fill."""
        m = Module()
        word, filled, left = Signal(self.word.shape()), Signal(self.word.shape()), Signal(range(_FILL + 1))
        m.d.comb += self.passed.eq(word)
        with m.If(self.shift):
            m.d.sync += word.eq(self.word)
        with m.If(self.fill):
            m.d.sync += left.eq(_FILL)
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), filled.eq(word)]
        for row in range(self._rows):
            total = agreeing(filled, self.signs[row])
            found = Mux(left != 0, AnySeq(5), Mux(total == 16, 31, total))
            m.d.sync += [self.operands[row].eq(found), self.carries[row].eq(found[4])]
        return m


def _scores(m: Module, core: Any, _inside: Inside) -> None:
    """Follow one row of the last load and one query, whose signs and nits are fixed in advance."""
    loaded, asked, left = drive(m, core.load), drive(m, core.query), follow(m, core.scores)
    row = Signal(range(_DEPTH), name="row")
    query, taken, leaving = (Signal(4, name=name) for name in ("query", "taken", "leaving"))
    signs = Signal(TABLE_DIMENSIONS, name="signs")
    wanted = [Signal(signed(NIT_BITS), name=f"wanted_{d}") for d in range(TABLE_DIMENSIONS)]
    m.d.comb += [value.eq(AnyConst(len(value))) for value in (row, query, signs, *wanted)]
    m.d.comb += [Assume(is_nit(nit)) for nit in wanted]
    due: Value = sum((Mux(signs[d], -nit, nit) for d, nit in enumerate(wanted)), start=wanted[0] - wanted[0])

    # A source of `load` sends no more rows than fit, and the followed one has its fixed signs.
    at, rows = Signal(range(_DEPTH + 1)), Signal(range(_DEPTH + 1))
    with m.If(core.load.valid):
        m.d.comb += Assume(at < _DEPTH)
        for d in range(TABLE_DIMENSIONS):
            nit = core.load.payload.nits[d]
            m.d.comb += Assume(is_nit(nit) & ((at != row) | ((nit < 0) == signs[d])))
    with m.If(loaded):
        m.d.sync += at.eq(Mux(core.load.payload.last, 0, at + 1))
        with m.If(core.load.payload.last):
            m.d.sync += rows.eq(at + 1)

    stored, answers = Signal(), Signal.like(rows)
    with m.If(core.query.valid):
        for d in range(TABLE_DIMENSIONS):
            nit = core.query.payload.nits[d]
            # Sums of several nits are proved of the tables.
            m.d.comb += Assume((is_nit(nit) if d == 0 else nit == 0) & ((taken != query) | (nit == wanted[d])))
    with m.If(asked):
        m.d.sync += taken.eq(taken + 1)
        with m.If(taken == query):
            m.d.sync += [stored.eq(1), answers.eq(rows)]

    place, turn, score = Signal(range(_WORDS + 1)), Signal(range(_PASSES)), core.scores.payload
    ends = score.last & (turn == _PASSES - 1)
    with m.If(left):
        m.d.sync += [place.eq(Mux(score.last, 0, place + 1)), leaving.eq(leaving + ends)]
        with m.If(score.last):
            m.d.sync += turn.eq(Mux(ends, 0, turn + 1))
    with m.If(core.scores.valid):
        m.d.comb += [
            Assert(score.word == place, "a word carries another number"),
            Assert(taken != leaving, "a score comes before its query"),
        ]
    with m.If(core.scores.valid & (leaving == query)):
        final = place == (answers - 1) >> (_ROWS - 1).bit_length()
        m.d.comb += Assert(stored & (score.last == final), "a pass has another number of words")
        for i in range(_ROWS):
            there = place * _ROWS + i
            m.d.comb += Assert(score.valid[i] == (there < answers), "another row is valid")
            with m.If(there == row):
                m.d.comb += Assert(score.scores[i] == Mux(there < answers, due, 0), "a score is another")
    m.d.sync += Cover(left & (leaving == query) & (query == 1) & (row == 2) & ends & (score.scores[0] == -3))


def _scored(**given: Any) -> Any:
    return with_parts(SignEngine, SignTables=PlainTables, _FILL=_FILL)(**given)


PROOFS = (
    Proof(
        "sign_engine",
        "scores",
        "every query is answered, once for each pass, by one score for each row of the last load, in order, with the "
        "number of the word and with `last` on the final word of a pass; places beyond the last row are not valid. "
        "Each score is the query's nit, negated where the row's nit is negative, for queries with one nit that is not "
        "0. Scores stay stable until accepted. Tables are filled while nothing is looked up",
        _scores,
        Method.BOUNDED,
        depth=22,
        cover=22,
        parameters={
            "dimensions": TABLE_DIMENSIONS,
            "lanes": _ROWS * TABLE_DIMENSIONS,
            "depth": _DEPTH,
            "width": TABLE_DIMENSIONS,
            "passes": _PASSES,
            "registered": False,
        },
        make=_scored,
    ),
)
