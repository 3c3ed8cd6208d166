"""Similarity engine: exact dot products of nit vectors against a store on the fabric."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.adders import AdderTree
from ninefold.hdl.cores.checks import check_integer
from ninefold.hdl.cores.credit import CreditQueue
from ninefold.hdl.cores.store import WordStore
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX, NIT_BITS, score_bits

__all__ = ["DotProduct", "SimilarityEngine"]

_DEPTH_MAX = 2**20


def _trit_code(nit: Value) -> Value:
    """Code a nit as two trits, each as (negative, nonzero); -0 is allowed, which makes one bit the nit's sign."""
    magnitude_2_or_more = (nit > 1) | (nit < -1)
    high = Cat(nit[-1], magnitude_2_or_more)
    low_negative = (nit == -1) | (nit == 2) | (nit == -4)
    low_nonzero = (nit != 0) & (nit != 3) & (nit != -3)
    return Cat(low_negative, low_nonzero, high)


class DotProduct(wiring.Component):
    """Pipelined dot product of ``lanes`` nits by ``lanes`` trit pairs.

    With u = 3 u1 + u0 the trits of one factor, the sum of the products is 3 sum(u1 t) + sum(u0 t). A trit times a nit
    t is t, its negation or 0: one LUT a bit gives the one's complement, and the adder trees take the missing 1 as a
    carry.

    Throughput is one pair of words a cycle. Latency is ``latency`` cycles.

    Parameters
    ----------
    lanes : int
        Products a word.

    Attributes
    ----------
    latency : int
        ``ceil(log2(lanes)) + 4``.

    Members
    -------
    nits : In(signed(4)[lanes])
        One factor.
    trits : In({low_negative: 1, low_nonzero: 1, high_negative: 1, high_nonzero: 1}[lanes])
        The other; a trit that is not ``nonzero`` is 0, negative or not.
    sum : Out(signed(score_bits(lanes)))
        The dot product.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self._trees = [AdderTree(NIT_BITS, lanes) for _ in range(2)]
        self.latency = 1 + self._trees[0].latency + 2
        trit_pair = data.StructLayout({"low_negative": 1, "low_nonzero": 1, "high_negative": 1, "high_nonzero": 1})
        super().__init__(
            {
                "nits": In(data.ArrayLayout(signed(NIT_BITS), lanes)),
                "trits": In(data.ArrayLayout(trit_pair, lanes)),
                "sum": Out(signed(score_bits(lanes))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the products and the trees of the two trits, and add them at weights 3 and 1."""
        m = Module()
        m.submodules.low, m.submodules.high = low, high = self._trees
        for lane in range(self.lanes):
            nit = self.nits[lane].as_unsigned()
            trits = self.trits[lane]
            for tree, negative, nonzero in (
                (low, trits.low_negative, trits.low_nonzero),
                (high, trits.high_negative, trits.high_nonzero),
            ):
                m.d.sync += [
                    tree.operands[lane].eq((nit & nonzero.replicate(NIT_BITS)) ^ negative.replicate(NIT_BITS)),
                    tree.carries[lane].eq(negative),
                ]
        thrice_high = Signal(signed(len(high.sum) + 2))
        low_sum = Signal.like(low.sum)
        m.d.sync += [
            thrice_high.eq(high.sum + (high.sum << 1)),
            low_sum.eq(low.sum),
            self.sum.eq(thrice_high + low_sum),
        ]
        return m


class SimilarityEngine(wiring.Component):
    """Scores of queries against every vector of a store: exact integer dot products of nits.

    A vector or query is ``beats = dimensions / lanes`` words of ``lanes`` nits, element 0 in lane 0 of the first.

    **Loading.** The words of the vectors enter by ``load`` in order, vector 0 first. ``last`` ends the load and fixes
    the number of vectors; it belongs on the final word of the final vector. The first word after reset or after a
    ``last`` starts a new database at vector 0. Words past ``depth`` vectors are accepted and have no effect, so a
    source must count its vectors. A load waits until the queries accepted before it are scored (one accepted in part
    is completed first); queries wait for the first load, and for one that waits or has begun.

    **Queries.** The engine counts ``beats`` words a query; ``last`` is informational. Two queries are held, so the
    next is accepted while one is scored. Each is answered by one score a vector, in order, ``last`` on the final one.

    **Timing.** One word is loaded a cycle. A score takes ``beats`` cycles, with no bubble between vectors or queries:
    Q queries on N vectors are scored in Q * N * ``beats`` cycles, while the sink of ``scores`` and the source of
    ``query`` keep up. The score of vector 0 is offered ``beats + ceil(log2(lanes)) + 12`` cycles after the one in which
    the last word of its query is accepted by an idle engine.

    Nits outside -4..4 give undefined scores; hosts refuse them.

    Parameters
    ----------
    dimensions : int
        Nits a vector, 1 to 4096.
    lanes : int
        Nit products a cycle; divides ``dimensions``.
    depth : int
        Vectors in the store, 1 to 1048576.

    Members
    -------
    load : In(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Words of the vectors.
    query : In(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Words of the queries.
    scores : Out(stream.Signature({score: signed(score_bits(dimensions)), id: max(1, bits of depth - 1), last: 1}))
        Scores, with the index of their vector.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, dimensions: int, lanes: int, depth: int) -> None:
        self.dimensions = check_integer("dimensions", dimensions, 1, DIMENSIONS_MAX)
        self.lanes = check_integer("lanes", lanes, 1, DIMENSIONS_MAX)
        self.depth = check_integer("depth", depth, 1, _DEPTH_MAX)
        if dimensions % lanes:
            raise InputError(f"lanes must divide dimensions ({dimensions}), which {lanes} does not")
        self._beats = dimensions // lanes
        self._dot = DotProduct(lanes)
        words = stream.Signature(data.StructLayout({"nits": data.ArrayLayout(signed(NIT_BITS), lanes), "last": 1}))
        score = data.StructLayout(
            {"score": signed(score_bits(dimensions)), "id": max(1, (depth - 1).bit_length()), "last": 1}
        )
        super().__init__({"load": In(words), "query": In(words), "scores": Out(stream.Signature(score))})

    def elaborate(self, platform: object) -> Module:
        """Build the control, and the pipeline from the stores to the queue of scores."""
        m = Module()
        beats = self._beats
        beat_bits = (beats - 1).bit_length()
        m.submodules.vectors = vectors = WordStore(NIT_BITS * self.lanes, self.depth * beats)
        m.submodules.queries = queries = WordStore(NIT_BITS * self.lanes, 2 << beat_bits)
        m.submodules.dot = dot = self._dot
        # From the issue of a vector's last word to its score in the queue: the stores, the dot product, the sum.
        stages = WordStore.LATENCY + dot.latency + 1
        m.submodules.queue = queue = CreditQueue(self.scores.payload.shape(), depth=-(-stages // beats) + 3)
        wiring.connect(m, queue.output, wiring.flipped(self.scores))

        # A query whose last word is accepted is queued until the last word of its last vector is issued. Words reach
        # the stores as many cycles after their acceptance as addresses after their issue, so nothing overtakes.
        queued = Signal(range(3))
        query_stored = Signal()
        query_scored = Signal()
        m.d.sync += queued.eq(queued + query_stored - query_scored)

        # Which stream is served.
        query_beat = Signal(range(beats))
        loaded = Signal()
        with m.FSM():
            with m.State("LOAD"):
                m.d.comb += self.load.ready.eq(1)
                with m.If(loaded):
                    m.next = "SERVE"
            with m.State("SERVE"):
                m.d.comb += self.query.ready.eq(queued != 2)
                with m.If(self.load.valid):
                    m.next = "FINISH"
            with m.State("FINISH"):
                m.d.comb += self.query.ready.eq((queued != 2) & (query_beat != 0))
                with m.If((queued == 0) & (query_beat == 0)):
                    m.next = "LOAD"

        last_id = self._load_vectors(m, vectors, loaded)

        # Queries are stored as trits in two slots by turns.
        query_slot = Signal()
        query = self.query.valid & self.query.ready
        m.d.comb += [
            queries.write.eq(query),
            queries.write_address.eq(Cat(query_beat, query_slot)),
            queries.write_word.eq(Cat(_trit_code(nit) for nit in self.query.payload.nits)),
            query_stored.eq(query & (query_beat == beats - 1)),
        ]
        with m.If(query):
            m.d.sync += query_beat.eq(query_beat + 1)
        with m.If(query_stored):
            m.d.sync += [query_beat.eq(0), query_slot.eq(~query_slot)]

        # One word of one vector is issued a cycle; a vector begins when its score will find room.
        slot = Signal()
        beat = Signal(range(beats))
        vector = Signal(range(self.depth))
        first, last = beat == 0, beat == beats - 1
        issue = Signal()
        m.d.comb += [
            issue.eq((queued != 0) & (~first | queue.credit)),
            queue.take.eq(issue & first),
            queries.read_address.eq(Cat(beat, slot)),
            query_scored.eq(issue & last & (vector == last_id)),
        ]
        with m.If(issue):
            m.d.sync += [vectors.read_address.eq(vectors.read_address + 1), beat.eq(beat + 1)]
            with m.If(last):
                m.d.sync += [beat.eq(0), vector.eq(vector + 1)]
        with m.If(query_scored):
            m.d.sync += [vectors.read_address.eq(0), vector.eq(0), slot.eq(~slot)]

        # What was issued travels beside the data.
        begins = self._delay(m, issue & first, stages - 1)
        ends = self._delay(m, issue & last, stages)
        final = self._delay(m, query_scored, stages)
        m.d.comb += [
            dot.nits.eq(vectors.read_word),
            dot.trits.eq(queries.read_word),
            queue.push.eq(ends),
            queue.element.last.eq(final),
        ]
        m.d.sync += queue.element.score.eq(Mux(begins, 0, queue.element.score) + dot.sum)
        with m.If(ends):
            m.d.sync += queue.element.id.eq(Mux(final, 0, queue.element.id + 1))
        return m

    def _load_vectors(self, m: Module, vectors: WordStore, loaded: Signal) -> Signal:
        """Write the words of ``load``; drives ``loaded`` on the last and returns the id of the last vector."""
        last_id = Signal(range(self.depth))
        vector = Signal(range(self.depth))
        beat = Signal(range(self._beats))
        full = Signal()
        accepted = self.load.valid & self.load.ready
        m.d.comb += [
            vectors.write.eq(accepted & ~full),
            vectors.write_word.eq(self.load.payload.nits),
            loaded.eq(accepted & self.load.payload.last),
        ]
        with m.If(vectors.write):
            m.d.sync += [vectors.write_address.eq(vectors.write_address + 1), beat.eq(beat + 1)]
            with m.If(beat == self._beats - 1):
                m.d.sync += beat.eq(0)
                with m.If(vector == self.depth - 1):
                    m.d.sync += full.eq(1)
                with m.Else():
                    m.d.sync += vector.eq(vector + 1)
        with m.If(loaded):
            m.d.sync += [last_id.eq(vector), vectors.write_address.eq(0), vector.eq(0), beat.eq(0), full.eq(0)]
        return last_id

    @staticmethod
    def _delay(m: Module, value: Value, cycles: int) -> Value:
        line = Signal(cycles)
        m.d.sync += line.eq(Cat(value, line))
        return line[-1]
