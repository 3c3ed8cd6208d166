"""Searches of a miner: from words of rows and queries to results, by all nits or by signs."""

from functools import cache
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.insertion import Insertion
from ninefold.hdl.cores.sign_engine import SignEngine
from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.cores.threshold_select import ThresholdSelect
from ninefold.hdl.cores.topk import TopK
from ninefold.hdl.miner.candidate_store import CandidateStore
from ninefold.hdl.miner.jobs import result_layout
from ninefold.hdl.miner.parameters import SLOW_HZ, MinerParameters
from ninefold.hdl.parts.layouts import FRAME_BYTE
from ninefold.hdl.parts.row_mask import RowMask
from ninefold.spec.formats import NIT_BITS, coarse_bits, score_bits
from ninefold.spec.link import TICKETS

__all__ = ["NitSearch", "SignSearch", "registers_stores", "scan_cycles", "selects_by_insertion", "selects_by_threshold"]

#: Cycles in which an engine fills the tables of a beat.
_FILL = 16
#: Least cycles per row for selection of signs by insertion, which takes two for most rows.
_SIGN_BEATS = 4
#: Candidates up to which a systolic array selects them, if a score comes at most once a cycle.
_ARRAY_KEEP = 64


def selects_by_insertion(parameters: MinerParameters) -> bool:
    """Return True if scores arrive slowly enough for the small :class:`Insertion`.

    A miner never waits for it. Signs wait for the few rows that are among the best so far.
    """
    beats = parameters.dimensions // parameters.lanes
    slow = beats >= (parameters.k + 2 if parameters.design == "miner" else _SIGN_BEATS)
    return slow and not selects_by_threshold(parameters)


def selects_by_threshold(parameters: MinerParameters) -> bool:
    """Return True if candidates are many, or their scores come several a cycle, so that two scans select them."""
    return parameters.keep > _ARRAY_KEEP or parameters.lanes > parameters.dimensions


def registers_stores(parameters: MinerParameters) -> bool:
    """Return True if the clock is so fast that the engine needs registers around its stores."""
    return parameters.clock_hz > SLOW_HZ


def scan_cycles(parameters: MinerParameters) -> tuple[int, int]:
    """Return the cycles between queries on a full store of signs, and from a query to its last candidate."""
    p = parameters
    beats, rows, kept = max(1, p.dimensions // p.lanes), max(1, p.lanes // p.dimensions), min(p.keep, p.depth)
    words = -(-p.depth // rows)
    latency, search = _latencies(
        p.dimensions, p.lanes, p.depth, p.keep, p.word_nits, registers_stores(p), selects_by_threshold(p)
    )
    scans = words * beats
    if selects_by_threshold(p):
        # In the second scan a row leaves each cycle.
        scans += search + max(words * beats, kept)
        last = 0
    else:
        last = kept
    # The nits of each beat but the first arrive after the tables of the one before are filled.
    return scans + _FILL * beats + (beats - 1) * p.lanes // p.word_nits, latency + scans + last


@cache
def _latencies(
    dimensions: int, lanes: int, depth: int, keep: int, width: int, registered: bool, twice: bool
) -> tuple[int, int]:
    """Return the latency of an engine, and the cycles between the two scans of its selection.

    Cached, because explorations ask for the same cores again and again, and constructing a core takes long.
    """
    engine = SignEngine(dimensions, lanes, depth, width, 2 if twice else 1, registered)
    return engine.latency, ThresholdSelect(dimensions, keep, engine.rows, depth).search if twice else 0


def _sign_engine(parameters: MinerParameters) -> SignEngine:
    p = parameters
    passes = 2 if selects_by_threshold(p) else 1
    return SignEngine(p.dimensions, p.lanes, p.depth, p.word_nits, passes, registers_stores(p))


def _threshold(parameters: MinerParameters) -> ThresholdSelect:
    p = parameters
    return ThresholdSelect(p.dimensions, p.keep, max(1, p.lanes // p.dimensions), p.depth)


def _words(parameters: MinerParameters) -> stream.Signature:
    nits = data.ArrayLayout(signed(NIT_BITS), parameters.word_nits)
    return stream.Signature(data.StructLayout({"nits": nits, "last": 1}))


def _selection(parameters: MinerParameters, score_width: int) -> TopK | Insertion:
    """Return the core that selects the best of one score a cycle or fewer."""
    kind = Insertion if selects_by_insertion(parameters) else TopK
    return kind(parameters.k or parameters.keep, score_width, max(1, (parameters.depth - 1).bit_length()))


class NitSearch(wiring.Component):
    """Search by all nits: similarity engine and top-k.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.

    Members
    -------
    load, query : In(stream.Signature({nits: signed(4)[word_nits], last: 1}))
        Words of rows and queries, with the protocol of :class:`~ninefold.hdl.cores.similarity.Similarity`.
    results : Out(stream.Signature(result_layout(parameters)))
        Results of each query, best first.
    accepted : Out(1)
        A score was accepted.
    stalls : Out(1)
        A result waits.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        self._parameters = parameters
        super().__init__(
            {
                "load": In(_words(parameters)),
                "query": In(_words(parameters)),
                "results": Out(stream.Signature(result_layout(parameters))),
                "accepted": Out(1),
                "stalls": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Connect engine and top-k."""
        m = Module()
        p = self._parameters
        m.submodules.engine = engine = Similarity(p.dimensions, p.lanes, p.depth, registers_stores(p))
        m.submodules.topk = topk = _selection(p, score_bits(p.dimensions))
        wiring.connect(m, wiring.flipped(self.load), engine.load)
        wiring.connect(m, wiring.flipped(self.query), engine.query)
        wiring.connect(m, engine.scores, topk.scores)
        wiring.connect(m, topk.results, wiring.flipped(self.results))
        m.d.comb += [
            self.accepted.eq(engine.scores.valid & engine.scores.ready),
            self.stalls.eq(topk.results.valid & ~topk.results.ready),
        ]
        return m


class SignSearch(wiring.Component):
    """Search by signs: sign engine, mask of rows, selection, and a store of the candidates of two scans.

    Many candidates, or scores that come several a cycle, are selected by two scans of the scores; few candidates by
    top-k. They are in order of their ids, or best first.

    A store of ``depth`` rows takes a query each ``scan_cycles(parameters)[0]`` cycles, unless selection by insertion
    has to wait for a row. The second value is the latency, from the last word of a query to the storing of its last
    candidate. A mask enters at 8 cycles per byte while the query before it is scanned.

    Parameters
    ----------
    parameters : MinerParameters
        Parameters of the miner.

    Members
    -------
    load, query : In(stream.Signature({nits: signed(4)[word_nits], last: 1}))
        Words of rows and queries, with the protocol of :class:`~ninefold.hdl.cores.sign_engine.SignEngine`.
    scan : In(stream.Signature({keep: range(keep + 1), masked: 1}, always_ready=True))
        Number of candidates to keep, and whether there is a mask, before the words of each query. At most two scans may
        be in progress.
    mask : In(stream.Signature({data: 8, last: 1}))
        Bytes of masks; the scores of a query wait for its mask.
    address : In(address)
        Half of the store, in the top bit, and number of a candidate.
    word : Out(32)
        That candidate, two cycles later: {id: 16, score: signed(16)}.
    scanned : Out(1)
        High for one cycle after the last candidate of a scan is stored.
    totals : Out(data.ArrayLayout(range(keep + 1), 2))
        Number of candidates in each half of the store.
    accepted : Out(1)
        A candidate was stored.
    stalls : Out(1)
        Always 0, because candidates wait for nothing.
    """

    def __init__(self, parameters: MinerParameters) -> None:
        p = self._parameters = parameters
        keep = range(p.keep + 1)
        super().__init__(
            {
                "load": In(_words(p)),
                "query": In(_words(p)),
                "scan": In(stream.Signature(data.StructLayout({"keep": keep, "masked": 1}), always_ready=True)),
                "mask": In(stream.Signature(FRAME_BYTE)),
                "address": In(1 + (p.keep - 1).bit_length()),
                "word": Out(32),
                "scanned": Out(1),
                "totals": Out(data.ArrayLayout(keep, TICKETS)),
                "accepted": Out(1),
                "stalls": Out(1),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Connect engine, mask, selection and store."""
        m = Module()
        p = self._parameters
        twice = selects_by_threshold(p)
        m.submodules.engine = engine = _sign_engine(p)
        m.submodules.row_mask = row_mask = RowMask(
            p.dimensions, engine.rows, p.depth, engine.passes, registers_stores(p)
        )
        m.submodules.store = store = CandidateStore(p.dimensions, p.depth, p.keep)
        # Both have room for all scans in progress.
        m.submodules.limits = limits = fifo.SyncFIFO(width=len(self.scan.payload.keep), depth=TICKETS)
        m.submodules.masked = masked = fifo.SyncFIFO(width=1, depth=TICKETS)
        wiring.connect(m, wiring.flipped(self.load), engine.load)
        wiring.connect(m, wiring.flipped(self.query), engine.query)
        wiring.connect(m, wiring.flipped(self.mask), row_mask.mask)
        wiring.connect(m, engine.scores, row_mask.scores)
        m.d.comb += [
            limits.w_data.eq(self.scan.payload.keep),
            limits.w_en.eq(self.scan.valid),
            masked.w_data.eq(self.scan.payload.masked),
            masked.w_en.eq(self.scan.valid),
            row_mask.queries.valid.eq(masked.r_rdy),
            row_mask.queries.payload.masked.eq(masked.r_data),
            masked.r_en.eq(row_mask.queries.ready),
            store.address.eq(self.address),
            self.word.eq(store.word),
            self.scanned.eq(store.scanned),
            self.totals.eq(store.totals),
            self.accepted.eq(store.results.valid & store.results.payload.valid),
        ]
        (self._select_twice if twice else self._select_best)(m, row_mask.output, limits, store)
        return m

    def _select_twice(self, m: Module, scores: Any, limits: fifo.SyncFIFO, store: CandidateStore) -> None:
        """Add the selection of many rows, in order of their ids."""
        m.submodules.select = select = _threshold(self._parameters)
        wiring.connect(m, scores, select.scores)
        wiring.connect(m, select.results, store.results)
        m.d.comb += [
            select.limit.valid.eq(limits.r_rdy),
            select.limit.payload.eq(limits.r_data),
            limits.r_en.eq(select.limit.ready),
        ]

    def _select_best(self, m: Module, scores: Any, limits: fifo.SyncFIFO, store: CandidateStore) -> None:
        """Add top-k. Rows outside the mask are given a score below all others, and are no candidates."""
        p = self._parameters
        width = coarse_bits(p.dimensions)
        lowest = Const(-(1 << (width - 1)), signed(width))
        m.submodules.topk = topk = _selection(p, width)
        given, found = scores.payload, topk.results.payload
        # Candidates of this scan so far, up to its number.
        count = Signal(range(p.keep + 1))
        m.d.comb += [
            topk.scores.valid.eq(scores.valid),
            topk.scores.payload.score.eq(Mux(given.valid[0], given.scores[0], lowest)),
            topk.scores.payload.id.eq(given.word),
            topk.scores.payload.last.eq(given.last),
            scores.ready.eq(topk.scores.ready),
            store.results.valid.eq(topk.results.valid),
            store.results.payload.score.eq(found.score),
            store.results.payload.id.eq(found.id),
            store.results.payload.valid.eq((found.score != lowest) & (count != limits.r_data)),
            store.results.payload.last.eq(found.last),
            topk.results.ready.eq(1),
            limits.r_en.eq(topk.results.valid & found.last),
        ]
        with m.If(topk.results.valid):
            m.d.sync += count.eq(Mux(found.last, 0, count + store.results.payload.valid))
