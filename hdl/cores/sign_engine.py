"""Sign engine: coarse scores of queries with the signs of the rows of an on-chip store."""

from typing import NamedTuple

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.adders import AdderTree, ChainedTree
from ninefold.hdl.parts.credit import CreditQueue
from ninefold.hdl.parts.layouts import coarse_layout
from ninefold.hdl.parts.relay import relay, relays_to
from ninefold.hdl.parts.sign_tables import (
    SIGNED_MAGNITUDE,
    TABLE_DIMENSIONS,
    WORD_BITS,
    SignTables,
    signed_magnitude,
)
from ninefold.hdl.parts.store import WordStore
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX, NIT_BITS, coarse_bits

__all__ = ["CORE", "SignEngine"]

_DEPTH_MAX = 2**20
_LANES_MAX = 2**14
_PASSES_MAX = 16
#: Cycles in which the tables of a beat are filled.
_FILL = 1 << TABLE_DIMENSIONS
#: Maximum bits of a part of the store, two blocks of RAM; maximum lanes per group of parts, which share their
#: addresses; maximum dimensions per section of the tables, which share the steps of the fill.
_PART, _GROUP, _SECTION = 32, 128, 64


class _Issue(NamedTuple):
    """Flags of a cycle in which a word of the store may be addressed.

    Attributes
    ----------
    first, begins, step, ends, final, scored : Value
        A query begins; a word of scores begins; a beat is issued; a word of scores ends; a pass ends; a query ends.
    """

    first: Value
    begins: Value
    step: Value
    ends: Value
    final: Value
    scored: Value


class SignEngine(wiring.Component):
    """Coarse scores of queries with every row of a store: exact sums of a query's nits, signed by the row.

    The store holds the sign bit of each nit of a row, set if the nit is negative. The coarse score is the sum over the
    dimensions of the query's nit, negated where the row's sign bit is set. Each four dimensions are one look-up in a
    table of 16 sums, which is filled for each query; an adder tree adds them up.

    With fewer ``lanes`` than ``dimensions``, a row has ``beats = dimensions / lanes`` beats of a cycle each. Otherwise
    ``beats`` is 1, and ``rows = lanes / dimensions`` rows are scored in a cycle. A vector or query enters in
    ``dimensions / width`` words of ``width`` nits, with element 0 at position 0 of the first.

    **Loading.** The words of the rows enter by ``load`` in order, row 0 first. ``last`` on the final word of the final
    row ends the load and sets the number of rows. The first word after reset or after a ``last`` starts a new database
    at row 0. Words beyond ``depth`` rows are accepted and ignored, so a source must count its rows. A load waits until
    earlier queries are scored, after a partly accepted query is completed. Queries wait for the first load, and for a
    load that is waiting or in progress.

    **Queries.** The engine counts the words of a query; ``last`` is informational. The engine holds two queries, so the
    next one is accepted while one is scored. The answer is one word of scores for each ``rows`` rows, in order, with
    ``last`` on the final one, and all of that ``passes`` times. In the final word, places beyond the last row have a
    score of 0 and no ``valid``.

    **Timing.** One word is loaded per cycle. A word of scores takes ``beats`` cycles, with no bubble between words or
    passes. Before a query is scored, its tables are filled in 16 cycles per beat. The nits of the first beat wait in
    registers by then; the nits of each later beat take ``lanes / width`` cycles to arrive there. Q queries on N rows,
    ``W = ceil(N / rows)`` words, take Q * (``passes`` * W * ``beats`` + 16 * ``beats`` + (``beats`` - 1) *
    ``lanes`` / ``width``) cycles if the sink of ``scores`` and the source of ``query`` keep up. Latency is ``latency``
    cycles, from the cycle in which an idle engine accepts the last word of a query, of which it accepted a word per
    cycle, to the cycle in which the first word of scores is offered.

    Nits outside -4..4 produce undefined scores; hosts refuse them.

    Parameters
    ----------
    dimensions : int
        Nits per row, 4 to 4096, a multiple of 4. Shorter vectors are filled with nits of 0.
    lanes : int
        Dimensions looked up per cycle, 4 to 16384, a multiple of 4; divides ``dimensions`` or is a multiple of it.
    depth : int
        Rows in the store, 1 to 1048576.
    width : int
        Nits per word of ``load`` and ``query``; divides ``dimensions`` and ``lanes``.
    passes : int
        Number of times each query is scored, 1 to 16.
    registered : bool
        Add registers before the store and at its pins, for fast clocks.

    Attributes
    ----------
    rows : int
        Rows scored per cycle.
    latency : int
        Cycles from the last word of a query to its first word of scores.

    Members
    -------
    load : In(stream.Signature({nits: signed(4)[width], last: 1}))
        Words of the rows.
    query : In(stream.Signature({nits: signed(4)[width], last: 1}))
        Words of the queries.
    scores : Out(stream.Signature(coarse_layout(dimensions, rows, depth)))
        Words of scores: {scores: signed[rows], valid: rows, word: number of the word, last: 1}; the score at position
        ``i`` belongs to row ``word * rows + i``.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(
        self, dimensions: int, lanes: int, depth: int, width: int, passes: int = 1, registered: bool = True
    ) -> None:
        self.dimensions = check_integer("dimensions", dimensions, TABLE_DIMENSIONS, DIMENSIONS_MAX)
        self.lanes = check_integer("lanes", lanes, TABLE_DIMENSIONS, _LANES_MAX)
        self.depth = check_integer("depth", depth, 1, _DEPTH_MAX)
        self.width = check_integer("width", width, 1, DIMENSIONS_MAX)
        self.passes = check_integer("passes", passes, 1, _PASSES_MAX)
        for name, value in (("dimensions", dimensions), ("lanes", lanes)):
            if value % TABLE_DIMENSIONS:
                raise InputError(f"{name} must be a multiple of {TABLE_DIMENSIONS}, which {value} is not")
            if value % width:
                raise InputError(f"width must divide {name} ({value}), which {width} does not")
        if dimensions % lanes and lanes % dimensions:
            raise InputError(
                f"lanes must divide dimensions ({dimensions}) or be a multiple of it, which {lanes} does not"
            )
        if not isinstance(registered, bool):
            raise InputError(f"registered must be True or False, not {registered!r}")
        self.rows = max(1, lanes // dimensions)
        self._registered = registered
        #: Dimensions of a row in a beat.
        self._span = min(dimensions, lanes)
        self._beats = dimensions // self._span
        self._words = -(-depth // self.rows)
        self._part = max(part for part in range(width, max(width, _PART) + 1, width) if self._span % part == 0)
        self._group = max(self._part, _GROUP // self._part * self._part)
        self._groups = -(-lanes // self._group)
        self._section = SignTables.part(self._span, width, _SECTION)
        self._sections = self._span // self._section
        self._relays = relays_to(max(self._groups, self._sections)) if registered else 0
        self._tree_latency = self._tree().latency
        #: Cycles from the issue of a word to its signs at the tables.
        self._fetch = registered + self._relays + self._store().latency
        self._stages = self._fetch + SignTables.latency + self._tree_latency + 1
        # With several beats, the words of a query enter tables by a queue.
        self.latency = self._beats * (_FILL + 1) + self._stages + (4 if self._beats > 1 else 2)
        words = stream.Signature(data.StructLayout({"nits": data.ArrayLayout(signed(NIT_BITS), width), "last": 1}))
        scores = coarse_layout(dimensions, self.rows, depth)
        super().__init__({"load": In(words), "query": In(words), "scores": Out(stream.Signature(scores))})

    def _store(self) -> WordStore:
        return WordStore(self._part, self._words * self._beats, exclusive=True, registered=self._registered)

    def _tree(self) -> ChainedTree:
        return ChainedTree(WORD_BITS, self._span // TABLE_DIMENSIONS)

    def elaborate(self, _platform: object) -> Module:
        """Build the control, and the pipeline from the store to the queue of scores."""
        m = Module()
        stores = [self._store() for _ in range(self.lanes // self._part)]
        tables = [SignTables(self._section, self.width, self.rows, self._beats) for _ in range(self._sections)]
        for name, parts in (("store", stores), ("tables", tables)):
            for i, part in enumerate(parts):
                m.submodules[f"{name}_{i}"] = part
        shape = self.scores.payload.shape()
        # A word begins every `beats` cycles, and its credit returns 3 cycles after its pipeline.
        m.submodules.queue = queue = CreditQueue(shape, depth=-(-(self._stages + 2) // self._beats) + 1)
        wiring.connect(m, queue.output, wiring.flipped(self.scores))

        # A completely accepted query stays queued until the last word of its last pass is issued.
        queued = Signal(range(4))
        query_word = Signal(range(self.dimensions // self.width))
        loaded, open_ = Signal(), Signal()
        with m.FSM(name="phase"):
            with m.State("LOAD"):
                m.d.comb += self.load.ready.eq(1)
                with m.If(loaded):
                    m.next = "SERVE"
            with m.State("SERVE"):
                m.d.comb += open_.eq(1)
                with m.If(self.load.valid):
                    m.next = "FINISH"
            with m.State("FINISH"):
                m.d.comb += open_.eq(query_word != 0)
                with m.If((queued == 0) & (query_word == 0)):
                    m.next = "LOAD"
        last_word, last_row = self._load(m, stores, loaded)

        accepted = self.query.valid & self.query.ready
        complete = accepted & (query_word == self.dimensions // self.width - 1)
        with m.If(accepted):
            m.d.sync += query_word.eq(Mux(complete, 0, query_word + 1))
        scored = Signal()
        scans, offset = self._fill(m, tables, open_, scored)
        issue = self._issue(m, stores, scans, queue.credit, last_word)
        m.d.comb += [scored.eq(issue.scored), queue.take.eq(issue.begins)]
        m.d.sync += queued.eq(queued + complete - scored)
        self._look_up(m, stores, tables, issue)
        self._add(m, tables, queue, issue, offset, last_row)
        return m

    def _load(self, m: Module, stores: list[WordStore], loaded: Signal) -> tuple[Signal, Signal]:
        """Write the signs of ``load``, drive ``loaded`` at the last word; return the last word and its last row."""
        last_word, last_row = Signal(range(self._words)), Signal(range(self.rows))
        word, row = Signal(range(self._words)), Signal(range(self.rows))
        piece = Signal(range(self.dimensions // self.width))
        full = Signal()
        accepted = self.load.valid & self.load.ready
        write = accepted & ~full
        m.d.comb += loaded.eq(accepted & self.load.payload.last)
        with m.If(write):
            m.d.sync += piece.eq(piece + 1)
            with m.If(piece == self.dimensions // self.width - 1):
                m.d.sync += piece.eq(0)
                with m.If((word == self._words - 1) & (row == (self.depth - 1) % self.rows)):
                    m.d.sync += full.eq(1)
                with m.Elif(row == self.rows - 1):
                    m.d.sync += [row.eq(0), word.eq(word + 1)]
                with m.Else():
                    m.d.sync += row.eq(row + 1)
        with m.If(loaded):
            m.d.sync += [last_word.eq(word), last_row.eq(row), word.eq(0), row.eq(0), piece.eq(0), full.eq(0)]

        # Signs are collected until they fill a part of the store.
        collected, count = Signal(self._part, reset_less=True), Signal(range(self._part // self.width))
        step, restart = Signal(), Signal()
        m.d.sync += [step.eq(0), restart.eq(loaded)]
        with m.If(write):
            signs = Cat(nit[-1] for nit in self.load.payload.nits)
            m.d.sync += [collected.eq(Cat(collected, signs)[self.width :]), count.eq(count + 1)]
            with m.If(count == self._part // self.width - 1):
                m.d.sync += [count.eq(0), step.eq(1)]
        with m.If(loaded):
            m.d.sync += count.eq(0)
        content = self._later(m, collected, self._relays)
        pulses = self._relayed(m, "load", self._groups, step, restart)
        for group, (steps, restarts) in zip(self._grouped(stores), pulses, strict=True):
            self._write(m, group, content, steps, restarts)
        return last_word, last_row

    def _write(
        self, m: Module, group: list[tuple[int, WordStore]], content: Value, step: Value, restart: Value
    ) -> None:
        """Write a part of the store, if it is in this group. Each group counts parts for itself, as in `_address`."""
        parts = self.lanes // self._part
        position = Signal(range(parts))
        last = position == parts - 1
        with m.If(step):
            m.d.sync += position.eq(Mux(last, 0, position + 1))
        with m.If(restart):
            m.d.sync += position.eq(0)
        address = self._address(m, step & last, restart)
        for i, store in group:
            m.d.comb += [
                store.write.eq(step & (position == i)),
                store.write_address.eq(address),
                store.write_word.eq(content),
            ]

    def _fill(self, m: Module, tables: list[SignTables], open_: Value, scored: Value) -> tuple[Value, Signal]:
        """Gather the nits of a beat, and fill tables with them whenever no query is scored.

        Returns a flag of the cycles in which a query may be scored, and what the sums of entries are counted from: the
        negated sums of all magnitudes of two queries, which alternate.
        """
        words = self._span // self.width
        word, offered, ready = self._queried(m, open_)
        gathered, beat, step = Signal(range(words + 1)), Signal(range(self._beats)), Signal(range(_FILL))
        scans, start, filled = Signal(), Signal(), Signal()
        m.d.comb += ready.eq(gathered != words)
        shift = offered & ready
        complete = ~ready | (shift & (gathered == words - 1))
        with m.If(shift):
            m.d.sync += gathered.eq(gathered + 1)
        with m.FSM(name="tables"):
            with m.State("GATHER"), m.If(complete):
                m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += start.eq(step == 0)
                m.d.sync += step.eq(step + 1)
                with m.If(step == _FILL - 1):
                    m.d.sync += [gathered.eq(0), beat.eq(beat + 1)]
                    m.next = "GATHER"
                    with m.If(beat == self._beats - 1):
                        m.d.comb += filled.eq(1)
                        m.d.sync += beat.eq(0)
                        m.next = "SCAN"
            with m.State("SCAN"):
                m.d.comb += scans.eq(1)
                with m.If(scored):
                    m.next = "GATHER"
                    with m.If(complete):
                        m.next = "FILL"

        # Everything for the tables takes as long as signs from the store, so that no table is filled while look-ups
        # before it are on their way.
        wait = self._store().latency - 1
        content = self._later(m, word, wait + self._registered + self._relays)
        pulses = (self._delay(m, pulse, wait) if wait else pulse for pulse in (shift, start))
        relayed = self._relayed(m, "fill", self._sections, *self._on_the_way(m, *pulses))
        for i, (part, (shifts, starts)) in enumerate(zip(tables, relayed, strict=True)):
            entering = tables[i + 1].passed if i + 1 < len(tables) else content
            m.d.comb += [part.word.eq(entering), part.shift.eq(shifts), part.fill.eq(starts)]
        return scans, self._magnitudes(m, word, shift, filled)

    def _queried(self, m: Module, open_: Value) -> tuple[Value, Value, Signal]:
        """Recode the words of ``query``; return a word, whether it is offered, and a signal that takes it.

        The later beats of a query wait in a queue.
        """
        ready = Signal()
        word = Cat(signed_magnitude(nit) for nit in self.query.payload.nits)
        if self._beats == 1:
            m.d.comb += self.query.ready.eq(open_ & ready)
            return word, self.query.valid & open_, ready
        waiting = fifo.SyncFIFOBuffered(width=len(word), depth=self.dimensions // self.width)
        m.submodules.waiting = waiting
        m.d.comb += [
            waiting.w_data.eq(word),
            waiting.w_en.eq(self.query.valid & open_),
            self.query.ready.eq(waiting.w_rdy & open_),
            waiting.r_en.eq(ready),
        ]
        return waiting.r_data, waiting.r_rdy, ready

    def _magnitudes(self, m: Module, word: Value, shift: Value, filled: Value) -> Array:
        """Return the negated sums of the magnitudes of two queries, which alternate."""
        m.submodules.magnitudes = tree = AdderTree(NIT_BITS, self.width)
        nits = data.View(data.ArrayLayout(SIGNED_MAGNITUDE, self.width), word)
        m.d.comb += [operand.eq(nit.magnitude) for operand, nit in zip(tree.operands, nits, strict=True)]
        rest = Signal(signed(coarse_bits(self.dimensions)))
        slot = Signal()
        offsets = Array(Signal.like(rest, name=f"offset_{i}") for i in range(2))
        with m.If(self._delay(m, shift, tree.latency)):
            m.d.sync += rest.eq(rest - tree.sum)
        # The tree is empty by now: filling takes longer.
        with m.If(filled):
            m.d.sync += [offsets[slot].eq(rest), slot.eq(~slot), rest.eq(0)]
        return offsets

    def _issue(self, m: Module, stores: list[WordStore], scans: Value, credit: Value, last_word: Value) -> _Issue:
        """Address one word of the store per cycle.

        A word of scores starts only with a credit, because no later stage can stall.
        """
        beat, word, turn = Signal(range(self._beats)), Signal(range(self._words)), Signal(range(self.passes))
        first, last = beat == 0, beat == self._beats - 1
        step = scans & (~first | credit)
        final = step & last & (word == last_word)
        scored = final & (turn == self.passes - 1)
        pulses = self._relayed(m, "issue", self._groups, *self._on_the_way(m, step, final))
        for group, (steps, restarts) in zip(self._grouped(stores), pulses, strict=True):
            address = self._address(m, steps, restarts)
            m.d.comb += [store.read_address.eq(address) for _, store in group]
        with m.If(step):
            m.d.sync += [beat.eq(Mux(last, 0, beat + 1)), word.eq(word + last)]
        with m.If(final):
            m.d.sync += [word.eq(0), turn.eq(turn + 1)]
        with m.If(scored):
            m.d.sync += turn.eq(0)
        begins = step & first
        return _Issue(begins & (word == 0) & (turn == 0), begins, step, step & last, final, scored)

    def _look_up(self, m: Module, stores: list[WordStore], tables: list[SignTables], issue: _Issue) -> None:
        """Connect the store to the tables."""
        signs = Cat(store.read_word for store in stores)
        beat = Signal(range(self._beats))
        with m.If(self._delay(m, issue.step, self._fetch)):
            m.d.sync += beat.eq(Mux(beat == self._beats - 1, 0, beat + 1))
        for i, part in enumerate(tables):
            m.d.comb += part.beat.eq(beat)
            for row in range(self.rows):
                start = row * self._span + i * self._section
                m.d.comb += part.signs[row].eq(signs[start : start + self._section])

    def _add(
        self, m: Module, tables: list[SignTables], queue: CreditQueue, issue: _Issue, offsets: Array, last_row: Signal
    ) -> None:
        """Add up the sums of each row, and queue words of scores. The flags of an issued word travel with its data."""
        stages = self._stages
        new = self._delay(m, issue.begins, stages - 1)
        done = self._delay(m, issue.ends, stages)
        final = self._delay(m, issue.final, stages)
        offset, slot = Signal(signed(coarse_bits(self.dimensions)), reset_less=True), Signal()
        with m.If(self._delay(m, issue.first, stages - 2)):
            m.d.sync += [offset.eq(offsets[slot]), slot.eq(~slot)]
        element = queue.element
        for row in range(self.rows):
            m.submodules[f"tree_{row}"] = tree = self._tree()
            width = self._section // TABLE_DIMENSIONS
            part = slice(row * width, (row + 1) * width)
            score = Signal(signed(coarse_bits(self.dimensions)), name=f"score_{row}", reset_less=True)
            valid = Signal(name=f"valid_{row}")
            # Row 0 of a word is always there. Loads may change `last_row` while words are on their way.
            due = self._delay(m, ~issue.final | (row <= last_row), stages - 1) if row else Const(1)
            before = offset if self._beats == 1 else Mux(new, offset, score)
            m.d.comb += [
                tree.operands.eq(
                    Cat(one.operands.as_value()[WORD_BITS * part.start : WORD_BITS * part.stop] for one in tables)
                ),
                tree.carries.eq(Cat(one.carries[part] for one in tables)),
                element.scores[row].eq(score),
                element.valid[row].eq(valid),
            ]
            m.d.sync += [score.eq(before + (tree.sum << 1)), valid.eq(due)]
            with m.If(~due):
                m.d.sync += score.eq(0)
        word = Signal.like(element.word)
        m.d.comb += [element.word.eq(word), element.last.eq(final), queue.push.eq(done)]
        with m.If(done):
            m.d.sync += word.eq(Mux(final, 0, word + 1))

    def _grouped(self, stores: list[WordStore]) -> list[list[tuple[int, WordStore]]]:
        """Return the numbered parts of the store in groups."""
        size = self._group // self._part
        numbered = list(enumerate(stores))
        return [numbered[start : start + size] for start in range(0, len(stores), size)]

    def _address(self, m: Module, step: Value, restart: Value) -> Signal:
        """Count the words of the store.

        Each group of parts has its own counters: a single address would have to cross the device in a cycle.
        """
        address = Signal(range(self._words * self._beats))
        with m.If(step):
            m.d.sync += address.eq(address + 1)
        with m.If(restart):
            m.d.sync += address.eq(0)
        return address

    def _on_the_way(self, m: Module, *pulses: Value) -> list[Value]:
        """Return pulses, from a register if there are registers."""
        return [self._delay(m, pulse, 1) if self._registered else pulse for pulse in pulses]

    def _relayed(self, m: Module, name: str, places: int, *pulses: Value) -> list[tuple[Value, ...]]:
        """Return, for each place, the pulses as they arrive there."""
        arriving = [relay(m, f"{name}_{i}", pulse, places, self._relays) for i, pulse in enumerate(pulses)]
        return list(zip(*arriving, strict=True))

    @staticmethod
    def _later(m: Module, word: Value, cycles: int) -> Value:
        """Delay a word; it is not reset."""
        for _ in range(cycles):
            later = Signal(len(word), reset_less=True)
            m.d.sync += later.eq(word)
            word = later
        return word

    @staticmethod
    def _delay(m: Module, pulse: Value, cycles: int) -> Value:
        line = Signal(cycles)
        m.d.sync += line.eq(Cat(pulse, line))
        return line[-1]


CORE = Core(
    SignEngine,
    defaults={"dimensions": 384, "lanes": 64, "depth": 512, "width": 2, "passes": 1, "registered": True},
    small={"dimensions": 16, "lanes": 8, "depth": 8, "width": 2, "passes": 2},
    smallest={"dimensions": 4, "lanes": 8, "depth": 3, "width": 2, "passes": 2},
)
