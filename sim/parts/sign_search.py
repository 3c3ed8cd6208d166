"""Proof of the search by signs: its parts are joined, and each scan meets its own limit and mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Assume, Cover, Module, Mux, Signal, Value

from ninefold.hdl.miner import search
from ninefold.hdl.miner.candidate_store import CandidateStore
from ninefold.hdl.miner.parameters import MinerParameters
from ninefold.hdl.miner.search import SignSearch
from ninefold.hdl.parts.row_mask import RowMask
from ninefold.sim.faults import Edit
from ninefold.sim.formal.dut import Inside, with_parts
from ninefold.sim.formal.proof import Method, Proof
from ninefold.sim.formal.stand_ins import AnyCore
from ninefold.sim.formal.streams import drive
from ninefold.spec.link import TICKETS

__all__ = ["PROOFS", "PROOF_FAULTS"]

_PARAMETERS = partial(
    MinerParameters,
    dimensions=4,
    depth=5,
    k=0,
    clock_hz=12_000_000,
    window=2,
    buffer_bytes=64,
    reply_bytes=256,
    design="signs",
    keep=3,
)
#: Two rows a cycle, and one.
_TWICE, _BEST = _PARAMETERS(lanes=8), _PARAMETERS(lanes=4)
#: Largest magnitude of a coarse score.
_MOST = 4 * _BEST.dimensions


class _Waiting:
    """Model of the elements of scans that wait for a part, in order.

    Parameters
    ----------
    m : Module
        Module that receives the model.
    inside : Inside
        Signals of the search.
    name : str
        Name of the queue in the search.
    enters : Value
        An element enters.
    element : Value
        That element.
    leaves : Value
        The first element leaves.

    Attributes
    ----------
    level : Signal
        Number of elements.
    first : Signal
        The first one.
    """

    def __init__(self, m: Module, inside: Inside, name: str, enters: Value, element: Value, leaves: Value) -> None:
        bits = len(element)
        self.level = Signal(range(TICKETS + 1), name=f"{name}_level")
        self.first, second = (Signal(bits, name=f"{name}_{place}") for place in ("first", "second"))
        m.d.sync += self.level.eq(self.level + enters - leaves)
        with m.If(leaves):
            m.d.sync += self.first.eq(second)
        with m.If(enters):
            with m.If(self.level - leaves == 0):
                m.d.sync += self.first.eq(element)
            with m.Else():
                m.d.sync += second.eq(element)
        consume, produce = inside[f"{name}.consume"], inside[f"{name}.produce"]
        rows = Array(inside[f"{name}.storage.row_{i}"] for i in range(TICKETS))
        m.d.comb += [
            Assume(~enters | (self.level < TICKETS)),
            Assert((self.level <= TICKETS) & (inside[f"{name}.level"] == self.level)),
            Assert(produce == consume ^ self.level[0]),
            Assert((self.level == 0) | (rows[consume] == self.first)),
            Assert((self.level < TICKETS) | (rows[~consume] == second)),
        ]


def _moves(stream: Any) -> Value:
    return stream.valid & stream.ready


def _joined(m: Module, pairs: Sequence[tuple[Any, Any]]) -> None:
    for given, taken in pairs:
        m.d.comb += [
            Assert((given.valid == taken.valid) & (given.ready == taken.ready), "a stream is not joined"),
            Assert(Value.cast(given.payload) == Value.cast(taken.payload), "an element changes on its way"),
        ]


def _search(m: Module, core: Any, inside: Inside, selects: Callable[..., Value]) -> None:
    """Let the parts behave freely, and check what each gets."""
    engine, mask, store = (core.parts[name] for name in ("_sign_engine", "RowMask", "CandidateStore"))
    for stream in (core.load, core.query, core.mask):
        drive(m, stream)
    scan = core.scan.payload
    m.d.comb += [
        core.scan.valid.eq(AnySeq(1)),
        Value.cast(scan).eq(AnySeq(len(Value.cast(scan)))),
        core.address.eq(AnySeq(len(core.address))),
    ]
    _joined(
        m,
        [
            (core.load, engine.load),
            (core.query, engine.query),
            (core.mask, mask.mask),
            (engine.scores, mask.scores),
        ],
    )
    masked = _Waiting(m, inside, "masked", core.scan.valid, scan.masked, _moves(mask.queries))
    kept = store.results.payload
    m.d.comb += [
        Assert(mask.queries.valid == (masked.level != 0), "the mask does not know of a scan"),
        Assert(~mask.queries.valid | (mask.queries.payload.masked == masked.first), "another scan has a mask"),
        Assert(store.address == core.address),
        Assert(core.word == Value.cast(store.word)),
        Assert((core.scanned == store.scanned) & (Value.cast(core.totals) == Value.cast(store.totals))),
        Assert(core.accepted == (store.results.valid & kept.valid)),
        Assert(~core.stalls),
    ]
    limit = selects(m, core, inside)
    second = Signal()
    m.d.sync += second.eq(second | store.results.valid & kept.last)
    m.d.comb += Cover(second & store.results.valid & kept.valid & (limit == 2) & masked.first)


def _twice(m: Module, core: Any, inside: Inside) -> Value:
    """Check the limits and scores of the selection of many rows; return the limit."""
    select, store = core.parts["_threshold"], core.parts["CandidateStore"]
    limits = _Waiting(m, inside, "limits", core.scan.valid, core.scan.payload.keep, _moves(select.limit))
    _joined(m, [(core.parts["RowMask"].output, select.scores), (select.results, store.results)])
    m.d.comb += [
        Assert(select.limit.valid == (limits.level != 0), "the selection does not know of a scan"),
        Assert(~select.limit.valid | (Value.cast(select.limit.payload) == limits.first), "another limit"),
    ]
    return limits.first


def _best(m: Module, core: Any, inside: Inside) -> Value:
    """Check the scores of top-k, and which of its results are stored; return the limit."""
    topk, store = core.parts["_selection"], core.parts["CandidateStore"]
    scores, results = core.parts["RowMask"].output, topk.results
    given, taken = scores.payload, topk.scores.payload
    found, kept = results.payload, store.results.payload
    limits = _Waiting(m, inside, "limits", core.scan.valid, core.scan.payload.keep, results.valid & found.last)
    count = Signal.like(limits.first, name="count_model")
    real, lowest = found.score >= -_MOST, -(1 << len(found.score) - 1)
    with m.If(results.valid):
        m.d.sync += count.eq(Mux(found.last, 0, count + kept.valid))
    m.d.comb += [
        # Results are among the scores that top-k was given, and come after a scan is started.
        Assume(~results.valid | real | (found.score == lowest)),
        Assume(~results.valid | (limits.level != 0)),
        Assert((topk.scores.valid == scores.valid) & (topk.scores.ready == scores.ready), "a score is lost"),
        Assert((taken.id == given.word) & (taken.last == given.last), "another row"),
        Assert(~given.valid[0] | (taken.score == given.scores[0]), "another score"),
        Assert(given.valid[0] | (taken.score < -_MOST), "a row that is not allowed is as good as another"),
        Assert(results.ready, "a result waits"),
        Assert((store.results.valid == results.valid) & (kept.last == found.last), "a result is lost"),
        Assert((kept.score == found.score) & (kept.id == found.id), "another result"),
        Assert(~results.valid | (kept.valid == (real & (count < limits.first))), "another number of candidates"),
        Assert((inside["count"] == count) & (count <= Mux(limits.level == 0, 0, limits.first))),
    ]
    return limits.first


def _among_any(parameters: MinerParameters) -> Any:
    """Build a search of free parts, available as ``parts``."""
    parts: dict[str, Any] = {}

    def anything(name: str, kind: Callable[..., Any]) -> Any:
        def make(*given: Any) -> Any:
            parts[name] = part = AnyCore(kind, *given)
            if name == "_sign_engine":
                made = kind(*given)
                part.rows, part.passes = made.rows, made.passes
            return part

        return make

    made = {name: anything(name, vars(search)[name]) for name in ("_sign_engine", "_threshold", "_selection")}
    made |= {kind.__name__: anything(kind.__name__, kind) for kind in (RowMask, CandidateStore)}
    core = with_parts(SignSearch, **made)(parameters)
    core.parts = parts
    return core


def _proof(name: str, claim: str, parameters: MinerParameters, selects: Callable[..., Value]) -> Proof:
    return Proof(
        "sign_search",
        name,
        claim,
        partial(_search, selects=selects),
        Method.INDUCTION,
        depth=2,
        cover=12,
        parameters={size: getattr(parameters, size) for size in ("dimensions", "lanes", "depth", "keep")},
        make=lambda **_: _among_any(parameters),
    )


PROOFS = (
    _proof(
        "two_scans",
        "engine, mask, selection and store are joined, and each scan meets its own number of rows and its own mask, in "
        "the order of the scans, around parts that do anything that keeps to their streams, if a scan is started only "
        "while less than two wait for their selection or mask",
        _TWICE,
        _twice,
    ),
    _proof(
        "best",
        "the same where top-k selects: it gets each score with its row, for a row that is not allowed a score below "
        "all others, and the first results with a row are stored, as many as asked, if top-k gives scores that it got",
        _BEST,
        _best,
    ),
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "two_scans": [
        ("hdl.miner.search", "masked.w_data.eq(self.scan.payload.masked)", "masked.w_data.eq(0)"),
        ("hdl.miner.search", "masked.r_en.eq(row_mask.queries.ready)", "masked.r_en.eq(limits.r_en)"),
        ("hdl.miner.search", "limits.r_en.eq(select.limit.ready)", "limits.r_en.eq(select.results.valid)"),
        ("hdl.miner.search", "store.address.eq(self.address)", "store.address.eq(self.address[:-1])"),
    ],
    "best": [
        ("hdl.miner.search", "Mux(given.valid[0], given.scores[0], lowest)", "given.scores[0]"),
        ("hdl.miner.search", "(found.score != lowest) & (count", "(count"),
        ("hdl.miner.search", "Mux(found.last, 0, count", "Mux(0, 0, count"),
        ("hdl.miner.search", "limits.r_en.eq(topk.results.valid & found.last)", "limits.r_en.eq(found.last)"),
    ],
}
