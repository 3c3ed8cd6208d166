"""Similarity engine: exact dot products of queries with the vectors of an on-chip store."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.credit import CreditQueue
from ninefold.hdl.parts.dot import DotProduct, trit_pair
from ninefold.hdl.parts.relay import relay, relays_to
from ninefold.hdl.parts.store import WordStore
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX, NIT_BITS, score_bits

__all__ = ["CORE", "Similarity"]

_DEPTH_MAX = 2**20
#: Lanes per group, which share a part of each store.
_GROUP = 32


class Similarity(wiring.Component):
    """Scores of queries against every vector of a store: exact integer dot products of nits.

    A vector or query consists of ``beats = dimensions / lanes`` words of ``lanes`` nits, with element 0 in lane 0 of
    the first.

    **Loading.** The words of the vectors enter by ``load`` in order, vector 0 first. ``last`` on the final word of the
    final vector ends the load and sets the number of vectors. The first word after reset or after a ``last`` starts a
    new database at vector 0. Words beyond ``depth`` vectors are accepted and ignored, so a source must count its
    vectors. A load waits until earlier queries are scored, after a partly accepted query is completed. Queries wait for
    the first load, and for a load that is waiting or in progress.

    **Queries.** The engine counts ``beats`` words per query; ``last`` is informational. The engine holds two queries,
    so the next one is accepted while one is scored. The answer is one score per vector, in order, with ``last`` on the
    final one.

    **Timing.** One word is loaded per cycle. A score takes ``beats`` cycles, with no bubble between vectors or queries:
    Q queries on N vectors are scored in Q * N * ``beats`` cycles if the sink of ``scores`` and the source of
    ``query`` keep up. Latency is ``beats + ceil(log2(lanes)) + 11`` cycles, two more with more than 256 lanes, or
    three less if not ``registered``, from the cycle in which an idle engine accepts the last word of a query to the
    cycle in which the score of vector 0 is offered.

    Nits outside -4..4 produce undefined scores; hosts refuse them.

    Parameters
    ----------
    dimensions : int
        Nits per vector, 1 to 4096.
    lanes : int
        Nit products per cycle; divides ``dimensions``.
    depth : int
        Vectors in the store, 1 to 1048576.
    registered : bool
        Add registers before the stores and at their pins. Without them the engine has about 20 flip-flops fewer per
        lane, and up to 32 lanes reach about 30 MHz on the slowest devices.

    Members
    -------
    load : In(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Words of the vectors.
    query : In(stream.Signature({nits: signed(4)[lanes], last: 1}))
        Words of the queries.
    scores : Out(stream.Signature({score: signed(score_bits(dimensions)), id: max(1, bits of depth - 1), last: 1}))
        Scores, with the index of the vector.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, dimensions: int, lanes: int, depth: int, registered: bool = True) -> None:
        self.dimensions = check_integer("dimensions", dimensions, 1, DIMENSIONS_MAX)
        self.lanes = check_integer("lanes", lanes, 1, DIMENSIONS_MAX)
        self.depth = check_integer("depth", depth, 1, _DEPTH_MAX)
        if dimensions % lanes:
            raise InputError(f"lanes must divide dimensions ({dimensions}), which {lanes} does not")
        if not isinstance(registered, bool):
            raise InputError(f"registered must be True or False, not {registered!r}")
        self._registered = registered
        self._beats = dimensions // lanes
        self._beat_bits = (self._beats - 1).bit_length()
        self._groups = -(-lanes // _GROUP)
        self._relays = relays_to(self._groups) if registered else 0
        self._dot = DotProduct(lanes)
        words = stream.Signature(data.StructLayout({"nits": data.ArrayLayout(signed(NIT_BITS), lanes), "last": 1}))
        score = data.StructLayout(
            {"score": signed(score_bits(dimensions)), "id": max(1, (depth - 1).bit_length()), "last": 1}
        )
        super().__init__({"load": In(words), "query": In(words), "scores": Out(stream.Signature(score))})

    def elaborate(self, _platform: object) -> Module:
        """Build the control, and the pipeline from the stores to the queue of scores."""
        m = Module()
        # Both stores are divided into groups of lanes.
        vectors = self._stores(m, "vectors", self.depth * self._beats, exclusive=True)
        queries = self._stores(m, "queries", 2 << self._beat_bits, exclusive=False)
        m.submodules.dot = dot = self._dot
        # Stages from the issue of a vector's last word to its score in the queue: distribution to the groups, stores,
        # dot product, sum.
        stages = self._registered + self._relays + vectors[0].latency + dot.latency + 1
        shape = self.scores.payload.shape()
        m.submodules.queue = queue = CreditQueue(shape, depth=-(-stages // self._beats) + 3)
        wiring.connect(m, queue.output, wiring.flipped(self.scores))

        # A completely accepted query stays queued until the last word of its last vector is issued. Words reach the
        # stores as many cycles after acceptance as addresses after issue, so neither overtakes the other.
        queued = Signal(range(3))
        query_beat = Signal(range(self._beats))
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
        last_id = self._load(m, vectors, loaded)
        stored = self._store_query(m, queries, query_beat)
        begins, ends, scored = self._issue(m, vectors, queries, (queued != 0), queue.credit, last_id)
        m.d.sync += queued.eq(queued + stored - scored)

        # The flags of an issued word travel with its data.
        new = self._delay(m, begins, stages - 1)
        done = self._delay(m, ends, stages)
        final = self._delay(m, scored, stages)
        score = Signal(queue.element.score.shape(), reset_less=True)
        identifier = Signal(queue.element.id.shape())
        m.d.comb += [
            queue.take.eq(begins),
            dot.nits.eq(Cat(store.read_word for store in vectors)),
            dot.trits.eq(Cat(store.read_word for store in queries)),
            queue.push.eq(done),
            queue.element.eq(Cat(score, identifier, final)),
        ]
        m.d.sync += score.eq(Mux(new, 0, score) + dot.sum)
        with m.If(done):
            m.d.sync += identifier.eq(Mux(final, 0, identifier + 1))
        return m

    def _stores(self, m: Module, name: str, words: int, *, exclusive: bool) -> list[WordStore]:
        stores = []
        for start in range(0, self.lanes, _GROUP):
            width = NIT_BITS * min(_GROUP, self.lanes - start)
            store = WordStore(width, words, exclusive=exclusive, registered=self._registered)
            m.submodules[f"{name}_{start}"] = store
            stores.append(store)
        return stores

    def _on_the_way(self, m: Module, given: list[Any]) -> None:
        """Pass a value to the stores, through a register if there are registers."""
        if self._registered:
            m.d.sync += given
        else:
            m.d.comb += given

    def _far(self, m: Module, word: Signal) -> Signal:
        """Delay a word by the time that pulses take to the groups."""
        for _ in range(self._relays):
            later = Signal.like(word, reset_less=True)
            m.d.sync += later.eq(word)
            word = later
        return word

    def _relayed(self, m: Module, name: str, *pulses: Signal) -> list[tuple[Value, ...]]:
        """Return, for each group, the pulses as they arrive there."""
        arriving = [relay(m, f"{name}_{i}", pulse, self._groups, self._relays) for i, pulse in enumerate(pulses)]
        return list(zip(*arriving, strict=True))

    def _load(self, m: Module, vectors: list[WordStore], loaded: Signal) -> Signal:
        """Write the words of ``load``, drive ``loaded`` at the last one, and return the id of the last vector."""
        last_id = Signal(range(self.depth))
        vector = Signal(range(self.depth))
        beat = Signal(range(self._beats))
        full = Signal()
        accepted = self.load.valid & self.load.ready
        write = accepted & ~full
        m.d.comb += loaded.eq(accepted & self.load.payload.last)
        word = Signal(NIT_BITS * self.lanes, reset_less=True)
        step, restart = Signal(), Signal()
        self._on_the_way(m, [word.eq(self.load.payload.nits), step.eq(write), restart.eq(loaded)])
        word = self._far(m, word)
        for i, (store, pulses) in enumerate(zip(vectors, self._relayed(m, "load", step, restart), strict=True)):
            m.d.comb += [
                store.write.eq(pulses[0]),
                store.write_address.eq(self._word_address(m, *pulses)),
                store.write_word.eq(word.word_select(i, NIT_BITS * _GROUP)),
            ]
        with m.If(write):
            m.d.sync += beat.eq(beat + 1)
            with m.If(beat == self._beats - 1):
                m.d.sync += beat.eq(0)
                with m.If(vector == self.depth - 1):
                    m.d.sync += full.eq(1)
                with m.Else():
                    m.d.sync += vector.eq(vector + 1)
        with m.If(loaded):
            m.d.sync += [last_id.eq(vector), vector.eq(0), beat.eq(0), full.eq(0)]
        return last_id

    def _store_query(self, m: Module, queries: list[WordStore], beat: Signal) -> Value:
        """Write the words of ``query`` as trits into two alternating slots; return a flag for a query's last word."""
        accepted = self.query.valid & self.query.ready
        last = beat == self._beats - 1
        with m.If(accepted):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        word = Signal.like(self.query.payload.nits, reset_less=True)
        step, next_slot = Signal(), Signal()
        self._on_the_way(m, [word.eq(self.query.payload.nits), step.eq(accepted), next_slot.eq(accepted & last)])
        word = self._far(m, word)
        for i, (store, pulses) in enumerate(zip(queries, self._relayed(m, "query", step, next_slot), strict=True)):
            m.d.comb += [
                store.write.eq(pulses[0]),
                store.write_address.eq(self._slot_address(m, *pulses)),
                store.write_word.eq(Cat(trit_pair(nit) for nit in word[i * _GROUP : (i + 1) * _GROUP])),
            ]
        return accepted & last

    def _word_address(self, m: Module, step: Value, restart: Value) -> Value:
        """Count the words of the vectors, with one counter for each group of lanes, as in `_slot_address`."""
        address = Signal(range(self.depth * self._beats))
        with m.If(step):
            m.d.sync += address.eq(address + 1)
        with m.If(restart):
            m.d.sync += address.eq(0)
        return address

    def _slot_address(self, m: Module, step: Value, next_slot: Value) -> Value:
        """Count the words of a query, in two alternating slots.

        Every group of lanes has its own counters. A single address for hundreds of lanes would have to cross the device
        in a cycle, and synthesis would merge mere copies of it.
        """
        beat = Signal(range(self._beats))
        slot = Signal()
        with m.If(step):
            m.d.sync += beat.eq(Mux(beat == self._beats - 1, 0, beat + 1))
        with m.If(next_slot):
            m.d.sync += slot.eq(~slot)
        return Cat(beat, slot)

    def _issue(
        self,
        m: Module,
        vectors: list[WordStore],
        queries: list[WordStore],
        waiting: Value,
        credit: Value,
        last_id: Value,
    ) -> tuple[Value, Value, Value]:
        """Address one word per cycle; return flags for the first and last word of a vector and the last of a query.

        A vector starts only with a credit, because no later stage can stall.
        """
        beat = Signal(range(self._beats))
        vector = Signal(range(self.depth))
        first, last = beat == 0, beat == self._beats - 1
        issue = waiting & (~first | credit)
        scored = issue & last & (vector == last_id)
        step, next_query = Signal(), Signal()
        self._on_the_way(m, [step.eq(issue), next_query.eq(scored)])
        relayed = self._relayed(m, "issue", step, next_query)
        m.d.comb += [
            *(store.read_address.eq(self._slot_address(m, *to)) for store, to in zip(queries, relayed, strict=True)),
            *(store.read_address.eq(self._word_address(m, *to)) for store, to in zip(vectors, relayed, strict=True)),
        ]
        with m.If(issue):
            m.d.sync += [beat.eq(Mux(last, 0, beat + 1)), vector.eq(vector + last)]
        with m.If(scored):
            m.d.sync += vector.eq(0)
        return issue & first, issue & last, scored

    @staticmethod
    def _delay(m: Module, value: Value, cycles: int) -> Value:
        line = Signal(cycles)
        m.d.sync += line.eq(Cat(value, line))
        return line[-1]


CORE = Core(
    Similarity,
    defaults={"dimensions": 384, "lanes": 64, "depth": 512, "registered": True},
    small={"dimensions": 8, "lanes": 4, "depth": 8},
    smallest={"dimensions": 4, "lanes": 2, "depth": 3},
)
