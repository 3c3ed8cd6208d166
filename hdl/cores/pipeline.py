"""Pipeline of quantiser, similarity engine and top-k core."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.core import Core
from ninefold.hdl.cores.quantiser import Quantiser
from ninefold.hdl.cores.similarity import Similarity
from ninefold.hdl.cores.topk import TopK
from ninefold.spec.formats import Mode, score_bits

__all__ = ["CORE", "Pipeline"]


class Pipeline(wiring.Component):
    """Search for the k nearest vectors of each query, given as grid values.

    The operator ``mine`` on the fabric: :class:`Quantiser`, :class:`Similarity` and :class:`TopK` in series.
    A query is ``beats = dimensions / lanes`` words of ``values``. A load waits until all queries that began before it
    was offered, or in the same cycle, are accepted completely and scored. Later queries are scored against its vectors.

    Throughput at saturation equals the engine's throughput, one query in N * ``beats`` cycles for N vectors. The top-k
    core keeps up if N is at least ``k``, and always between queries on the same database. Latency is ``N * beats +
    ceil(log2(lanes)) + 16`` cycles plus the ``latency`` of the top-k core, from the cycle in which an idle pipeline
    accepts the last word of a query to the cycle in which its best result is offered. The other results follow, one a
    cycle.

    A threshold written while the words of a query are accepted applies to the later words, so write thresholds between
    queries.

    Parameters
    ----------
    mode : {"tanh", "linear"}
        Thresholds of the quantiser after reset.
    dimensions : int
        Nits per vector, 1 to 4096.
    lanes : int
        Grid values and nit products per cycle; divides ``dimensions``.
    depth : int
        Vectors in the store, 1 to 1048576.
    k : int
        Results per query, 1 to 256.

    Members
    -------
    values : In(stream.Signature({grid: signed(16)[lanes], last: 1}))
        Grid values of the queries.
    threshold : In(stream.Signature({index: 2, value: 16}))
        Writes a threshold register of the quantiser. Always ready.
    load : In(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Words of the vectors.
    results : Out(stream.Signature({score: signed(score_bits(dimensions)), id: max(1, bits of depth - 1), last: 1}))
        The ``min(N, k)`` best vectors of each query, by descending score, then ascending id.

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
        self._engine = Similarity(dimensions, lanes, depth)
        self._miner = TopK(k, score_bits(dimensions), max(1, (depth - 1).bit_length()), signed=True)
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

        # The engine serves loads and queries in order of arrival, but queries arrive through the quantiser. So a load
        # is offered to the engine only while the quantiser is empty and no query is accepted in part.
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
                # Queries that arrive now wait in the quantiser.
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


CORE = Core(
    Pipeline,
    defaults={"mode": "tanh", "dimensions": 384, "lanes": 64, "depth": 512, "k": 16},
    small={"dimensions": 8, "lanes": 4, "depth": 8, "k": 2},
    smallest={"mode": "tanh", "dimensions": 4, "lanes": 2, "depth": 3, "k": 2},
)
