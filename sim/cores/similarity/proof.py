"""Proof of similarity: each score belongs to its query and vector, and is the sum of their products."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cover, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring

from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.parts.dot import DotProduct, trit_pair
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.streams import drive, follow
from ninefold.sim.parts.dot import is_nit
from ninefold.spec.formats import NIT_BITS, NIT_MAX

__all__ = ["PROOFS"]

_DIMENSIONS = 2
_DEPTH = 2
_PRODUCT_MOST = NIT_MAX * NIT_MAX


class FollowedDot(wiring.Component):
    """Replacement for the dot product: any function with values for the followed words fixed in advance.

    Parameters
    ----------
    lanes : int
        Products per word: one.

    Attributes
    ----------
    latency : int
        One cycle.

    Members
    -------
    nits, trits, sum : In and Out
        As for the dot product.
    """

    latency = 1

    def __init__(self, lanes: int) -> None:
        super().__init__(dict(DotProduct(lanes).signature.members))

    def elaborate(self, _platform: object) -> Module:
        """Compare the input with each beat of the followed vector and query."""
        m = Module()
        width = len(self.sum)
        found: Value = AnySeq(width)
        for beat in range(_DIMENSIONS):
            vector, wanted = (Signal(signed(NIT_BITS), name=f"{name}_{beat}") for name in ("vector", "wanted"))
            product = Signal(signed(width), name=f"product_{beat}")
            m.d.comb += [vector.eq(AnyConst(NIT_BITS)), wanted.eq(AnyConst(NIT_BITS)), product.eq(AnyConst(width))]
            ours = (self.nits[0] == vector) & (self.trits[0].as_value() == trit_pair(wanted))
            found = Mux(ours, product, found)
        m.d.sync += self.sum.eq(found)
        return m


def _scores(m: Module, core: Any, inside: Inside) -> None:
    """Follow one vector of the last load and one query, whose nits and products are fixed in advance."""
    loaded, asked, left = drive(m, core.load), drive(m, core.query), follow(m, core.scores)
    row = Signal(range(_DEPTH), name="row")
    query, taken, leaving = (Signal(4, name=name) for name in ("query", "taken", "leaving"))
    vector, wanted, products = (
        Array(inside[f"dot.{name}_{i}"] for i in range(_DIMENSIONS)) for name in ("vector", "wanted", "product")
    )
    m.d.comb += [Assume(is_nit(nit)) for nit in (*vector, *wanted)]
    m.d.comb += [Assume((product >= -_PRODUCT_MOST) & (product <= _PRODUCT_MOST)) for product in products]
    for one, other in combinations(range(_DIMENSIONS), 2):
        alike = (vector[one] == vector[other]) & (wanted[one] == wanted[other])
        m.d.comb += Assume(~alike | (products[one] == products[other]))
    m.d.comb += [row.eq(AnyConst(len(row))), query.eq(AnyConst(len(query)))]

    # A source of `load` sends whole vectors, no more than fit, and the followed one has its fixed nits.
    at, beat, rows = Signal(range(_DEPTH + 1)), Signal(range(_DIMENSIONS)), Signal(range(_DEPTH + 1))
    ends = beat == _DIMENSIONS - 1
    with m.If(core.load.valid):
        m.d.comb += [
            Assume(is_nit(core.load.payload.nits[0])),
            Assume(at < _DEPTH),
            Assume(~core.load.payload.last | ends),
            Assume((at != row) | (core.load.payload.nits[0] == vector[beat])),
        ]
    with m.If(loaded):
        m.d.sync += [beat.eq(Mux(ends, 0, beat + 1)), at.eq(Mux(core.load.payload.last, 0, at + ends))]
        with m.If(core.load.payload.last):
            m.d.sync += rows.eq(at + 1)

    part, stored, answers = Signal(range(_DIMENSIONS)), Signal(), Signal.like(rows)
    complete = part == _DIMENSIONS - 1
    with m.If(core.query.valid):
        m.d.comb += [
            Assume(is_nit(core.query.payload.nits[0])),
            Assume((taken != query) | (core.query.payload.nits[0] == wanted[part])),
        ]
    with m.If(asked):
        m.d.sync += [part.eq(Mux(complete, 0, part + 1)), taken.eq(taken + complete)]
        with m.If(complete & (taken == query)):
            m.d.sync += [stored.eq(1), answers.eq(rows)]

    place, score = Signal(range(_DEPTH + 1)), core.scores.payload
    with m.If(left):
        m.d.sync += [place.eq(Mux(score.last, 0, place + 1)), leaving.eq(leaving + score.last)]
    with m.If(core.scores.valid):
        m.d.comb += [
            Assert(score.id == place, "a score carries another id"),
            Assert(taken != leaving, "a score comes before its query"),
        ]
    with m.If(core.scores.valid & (leaving == query)):
        m.d.comb += Assert(stored & (score.last == (place == answers - 1)), "a query has another number of scores")
        with m.If(place == row):
            m.d.comb += Assert(score.score == sum(products), "a score is another")
    m.d.sync += Cover(left & (leaving == query) & (query == 1) & (row == 1) & (place == 1) & (score.score == -7))


def _scored(**given: Any) -> Any:
    return with_parts(Similarity, DotProduct=FollowedDot)(**given)


PROOFS = (
    Proof(
        "similarity",
        "scores",
        "every query is answered by one score for each vector of the last load, in order, with its id and with `last` "
        "on the final one. Each is the sum of the products of the query's and the vector's nits. Scores stay stable "
        "until accepted",
        _scores,
        Method.BOUNDED,
        depth=24,
        cover=23,
        parameters={"dimensions": _DIMENSIONS, "lanes": 1, "depth": _DEPTH, "registered": False},
        make=_scored,
    ),
)
