"""Pipeline: quantiser, similarity engine and top-k miner, connected."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.cores.similarity import SimilarityEngine
from ninefold.hdl.cores.topk import TopKMiner
from ninefold.spec.formats import Mode, score_bits

__all__ = ["Pipeline"]


class Pipeline(wiring.Component):
    """Grid values of queries in, the k nearest vectors of each out.

    The operator ``mine`` on the fabric: :class:`Quantiser`, :class:`SimilarityEngine` and :class:`TopKMiner` in a row.
    A query is ``beats = dimensions / lanes`` words of ``values``. A load waits until the queries that begin no later
    than in the cycle in which it is offered are accepted as a whole and scored; queries that begin later are scored
    against its vectors.

    Throughput at saturation is the engine's: one query each N * ``beats`` cycles on N vectors, as long as the miner
    keeps up, which it does when N is ``k`` or more, and between queries on the same database always. Latency is
    ``N * beats + ceil(log2(lanes)) + 16`` cycles and the ``latency`` of the miner, from the one in which an idle
    pipeline accepts the last word of a query to the one from which its best result is offered; the results follow one
    a cycle.

    A threshold written while words of a query are accepted holds for the later ones, so thresholds are best written
    between queries.

    Parameters
    ----------
    mode : {"tanh", "linear"}
        Thresholds of the quantiser after reset.
    dimensions : int
        Nits a vector, 1 to 4096.
    lanes : int
        Grid values, and nit products, a cycle; divides ``dimensions``.
    depth : int
        Vectors in the store, 1 to 1048576.
    k : int
        Results a query, 1 to 256.

    Members
    -------
    values : In(stream.Signature({grid: signed(16)[lanes], last: 1}))
        Grid values of the queries.
    threshold : In(stream.Signature({index: 2, value: 16}))
        Writes a threshold register of the quantiser. Always ready.
    load : In(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Words of the vectors.
    results : Out(stream.Signature({score: signed(score_bits(dimensions)), id: max(1, bits of depth - 1), last: 1}))
        The ``min(N, k)`` best vectors of each query, largest score first, lowest id first where scores are equal.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, mode: Mode, dimensions: int, lanes: int, depth: int, k: int) -> None:
        self.mode = mode
        self.dimensions = dimensions
        self.lanes = lanes
        self.depth = depth
        self.k = k
        self._quantiser = Quantiser(mode, lanes)
        self._engine = SimilarityEngine(dimensions, lanes, depth)
        self._miner = TopKMiner(k, score_bits(dimensions), max(1, (depth - 1).bit_length()), signed=True)
        super().__init__(
            {
                "values": In(self._quantiser.values.signature.flip()),
                "threshold": In(self._quantiser.threshold.signature.flip()),
                "load": In(self._engine.load.signature.flip()),
                "results": Out(self._miner.results.signature),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Connect the three cores."""
        m = Module()
        m.submodules.quantiser = self._quantiser
        m.submodules.engine = self._engine
        m.submodules.miner = self._miner
        wiring.connect(m, wiring.flipped(self.threshold), self._quantiser.threshold)
        wiring.connect(m, self._quantiser.nits, self._engine.query)
        wiring.connect(m, self._engine.scores, self._miner.scores)
        wiring.connect(m, self._miner.results, wiring.flipped(self.results))

        # The engine orders loads and queries as they reach it, but queries reach it by way of the quantiser. So a load
        # is shown to the engine only when the quantiser holds no word and no query is accepted in part.
        values, nits = self._quantiser.values, self._quantiser.nits
        held = Signal(range(Quantiser.CAPACITY + 1))
        beat = Signal(range(self.dimensions // self.lanes))
        values_pass, load_passes = Signal(), Signal()
        m.d.comb += [
            values.payload.eq(self.values.payload),
            values.valid.eq(self.values.valid & values_pass),
            self.values.ready.eq(values.ready & values_pass),
            self._engine.load.payload.eq(self.load.payload),
            self._engine.load.valid.eq(self.load.valid & load_passes),
            self.load.ready.eq(self._engine.load.ready & load_passes),
        ]
        accepted = values.valid & values.ready
        m.d.sync += held.eq(held + accepted - (nits.valid & nits.ready))
        with m.If(accepted):
            m.d.sync += beat.eq(Mux(beat == self.dimensions // self.lanes - 1, 0, beat + 1))
        with m.FSM():
            with m.State("LOAD"):
                # Queries that come now wait in the quantiser.
                m.d.comb += [load_passes.eq(1), values_pass.eq(1)]
                with m.If(self.load.valid & self.load.ready & self.load.payload.last):
                    m.next = "SERVE"
            with m.State("SERVE"):
                m.d.comb += values_pass.eq(1)
                with m.If(self.load.valid):
                    m.next = "FINISH"
            with m.State("FINISH"):
                m.d.comb += values_pass.eq(beat != 0)
                with m.If((beat == 0) & (held == 0)):
                    m.next = "LOAD"
        return m
