"""Pipeline: quantiser, similarity engine and top-k miner, connected."""

from amaranth.hdl import Module
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
    A query is ``beats = dimensions / lanes`` words of ``values``; loading is as the engine does it.

    Throughput at saturation is one query each N * ``beats`` cycles on N vectors, the engine's own; with ``beats = 1``
    and fewer than ``k`` vectors the miner's drain may set the pace. Latency from the last word of a query, accepted
    by an idle pipeline, to its first result is that of the quantiser, the engine, N * ``beats`` cycles less one, and
    the miner.

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
    threshold : In(stream.Signature({index: 2, value: 16}, always_ready=True))
        Writes a threshold register of the quantiser.
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
        wiring.connect(m, wiring.flipped(self.values), self._quantiser.values)
        wiring.connect(m, wiring.flipped(self.threshold), self._quantiser.threshold)
        wiring.connect(m, wiring.flipped(self.load), self._engine.load)
        wiring.connect(m, self._quantiser.nits, self._engine.query)
        wiring.connect(m, self._engine.scores, self._miner.scores)
        wiring.connect(m, self._miner.results, wiring.flipped(self.results))
        return m
