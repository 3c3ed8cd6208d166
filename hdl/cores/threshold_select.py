"""Threshold selection core: the best rows of a query, many of them, from two scans of its coarse scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.counts import CountBank
from ninefold.hdl.parts.layouts import candidate_layout, coarse_layout
from ninefold.spec.formats import CANDIDATES_MAX, DIMENSIONS_MAX

__all__ = ["CORE", "ThresholdSelect"]

_DEPTH_MAX = 2**20
_ROWS_MAX = 64
#: Words with chosen rows that wait for the output: 16 in distributed RAM, and the one whose rows leave.
_QUEUE = 17
#: Words that may enter before the queue's level shows them: one for each stage up to the queue, one in the cycle of the
#: level, and one while `room` is registered.
_UNSEEN = 5


@dataclass(frozen=True)
class _Search:
    """Registers and commands of the search.

    Attributes
    ----------
    scan : Signal
        Place that is cleared or looked at.
    threshold : Signal
        Place whose count is compared, or the best of the places whose sum is. At the end of the search it is the
        threshold.
    rest : Signal
        Rows yet to be selected at this place or below, less one; in the second scan, at the threshold. It is negative
        when there are none.
    scans : Signal
        The banks look at ``scan``; a register, because the path from it through the banks is long.
    clears, second : Signal
        The banks clear the next ``scan``; words of the second scan are accepted.
    """

    scan: Signal
    threshold: Signal
    rest: Signal
    scans: Signal
    clears: Signal
    second: Signal


class ThresholdSelect(wiring.Component):
    """Exact selection of the rows with the best coarse scores: at most ``limit``, in order of their ids.

    Every query is scanned twice, with the same words. Of rows with equal scores the lower ids are selected. Only rows
    with their bit of ``valid`` set take part. Between words of a query, and between queries, there may be any pauses.

    **First scan.** A histogram counts the scores. All coarse scores of a query have the same parity, so a score has
    the place ``(score + 4 * dimensions - 2) >> 1``; the lowest score has the place -1 and needs no count. Each row of
    a word has a bank of counts.

    **Search.** The sums of groups of places, two groups a cycle from the best down, tell the group of the threshold:
    the score of which some rows are selected, while all rows above it are. The counts of the group, one a cycle, tell
    its place. If the rows above the lowest score are fewer than the limit, that score is the threshold.

    **Second scan.** Rows above the threshold are chosen, and the first of those that equal it, up to the limit. Each
    valid row also clears its counts, so the next query can follow without a pause.

    **Timing.** A word enters each cycle of the first scan. The second scan can begin after at most ``search`` cycles,
    if the limit is there by then. In the second scan a word enters each cycle while a queue of 17 words with
    chosen rows has room; results leave at one per cycle, with one cycle more for each query, and the next query may
    enter while they do. A result is offered at the earliest 7 cycles after its word was accepted: when the next one
    follows, or when the scan has ended.

    After a reset the core clears all counts, which takes ``4 * dimensions`` cycles, rounded up to pairs of groups.

    Parameters
    ----------
    dimensions : int
        Nits per row, 1 to 4096: a score is -4 * dimensions to 4 * dimensions.
    keep : int
        Maximum number of rows selected, 1 to 8192.
    rows : int
        Scores per word, 1 to 64.
    depth : int
        Maximum number of rows, 1 to 1048576.

    Attributes
    ----------
    search : int
        Maximum number of cycles between the two scans: at most ``2 * sqrt(4 * dimensions + 1) + 8`` for up to 4
        scores per word, and for up to 64 from 77 dimensions on; 89 for 512 dimensions and 4 scores.

    Members
    -------
    scores : In(stream.Signature({scores: signed(coarse_bits(dimensions))[rows], valid: rows, word, last: 1}))
        Words of the scans in order; row ``word * rows + i`` has score ``i``. ``last`` ends a scan. Scores that differ
        in parity, or between the two scans of a query, give undefined results.
    limit : In(stream.Signature({rows: range(keep + 1)}))
        Maximum number of rows selected, 0 to ``keep``, one for each query. Accepted after the first scan.
    results : Out(stream.Signature({score: signed(coarse_bits(dimensions)), id, valid: 1, last: 1}))
        Selected rows in ascending order of ids, ``last`` on the final one. A query of which no row is selected has
        one result, with ``valid`` 0, score 0 and id 0.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, dimensions: int, keep: int, rows: int, depth: int) -> None:
        self.dimensions = check_integer("dimensions", dimensions, 1, DIMENSIONS_MAX)
        self.keep = check_integer("keep", keep, 1, CANDIDATES_MAX)
        self.rows = check_integer("rows", rows, 1, _ROWS_MAX)
        self.depth = check_integer("depth", depth, 1, _DEPTH_MAX)
        self._adding = (rows - 1).bit_length()
        self._group_bits, self._pairs, self.search = _search_plan(dimensions, 5 + 2 * self._adding)
        super().__init__(
            {
                "scores": In(stream.Signature(coarse_layout(dimensions, rows, depth))),
                "limit": In(stream.Signature(data.StructLayout({"rows": range(keep + 1)}))),
                "results": Out(stream.Signature(candidate_layout(dimensions, depth))),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the input register, the banks, the search, and the path of the second scan."""
        m = Module()
        places = self._pairs * 2 << self._group_bits
        state = _Search(
            scan=Signal(range(places), init=places - 1, name="scan"),
            threshold=Signal(range(-1, places), name="threshold"),
            rest=Signal(range(-self.rows, self.keep), name="rest"),
            scans=Signal(init=1, name="scans"),
            clears=Signal(name="clears"),
            second=Signal(name="second"),
        )
        word, word_places, counts, clears, arrives = self._enter(m, state)
        banks = []
        width = (-(-self.depth // self.rows)).bit_length()
        for i, place in enumerate(word_places):
            m.submodules[f"bank_{i}"] = bank = CountBank(self._pairs, self._group_bits, width)
            m.d.comb += [
                bank.place.eq(Mux(state.scans, state.scan, place)),
                bank.count.eq(counts[i]),
                bank.clear.eq(clears[i]),
            ]
            banks.append(bank)
        room = self._choose(m, (word, word_places, arrives), state)
        self._control(m, banks, state, room)
        return m

    def _enter(self, m: Module, state: _Search) -> tuple[Any, list[Signal], Signal, Signal, Signal]:
        """Register the accepted word; return it and its places.

        The other values returned tell which places are counted and which are cleared, and whether the word is one of
        the second scan. They are registers too, because the paths through the banks are long.
        """
        given = self.scores.payload
        word = Signal(given.shape(), reset_less=True)
        counts = Signal(self.rows)
        clears = Signal(self.rows, init=-1, name="bank_clears")
        arrives = Signal()
        accepted = self.scores.valid & self.scores.ready
        places = []
        for i in range(self.rows):
            place = Signal(range(-1, 4 * self.dimensions), name=f"place_{i}", reset_less=True)
            found = Signal.like(place, name=f"found_{i}")
            m.d.comb += found.eq((given.scores[i] + (4 * self.dimensions - 2)) >> 1)
            counted = accepted & given.valid[i] & (found >= 0)
            m.d.sync += [
                counts[i].eq(counted & ~state.second),
                clears[i].eq(state.clears | (counted & state.second)),
            ]
            with m.If(accepted):
                m.d.sync += place.eq(found)
            places.append(place)
        m.d.sync += arrives.eq(accepted & state.second)
        with m.If(accepted):
            m.d.sync += word.eq(given)
        return word, places, counts, clears, arrives

    def _control(self, m: Module, banks: Sequence[CountBank], state: _Search, room: Value) -> None:
        """Add the states: clear, first scan, limit, search among groups, search among places, second scan."""
        ends = self.scores.valid & self.scores.ready & self.scores.payload.last
        with m.FSM():
            with m.State("CLEAR"):
                m.d.comb += state.clears.eq(state.scan != 0)
                m.d.sync += state.scan.eq(state.scan - 1)
                with m.If(state.scan == 0):
                    m.d.sync += state.scans.eq(0)
                    m.next = "FIRST"
            with m.State("FIRST"):
                m.d.comb += self.scores.ready.eq(1)
                with m.If(ends):
                    m.next = "LIMIT"
            with m.State("LIMIT"):
                m.d.comb += self.limit.ready.eq(1)
                top = state.scan.init
                m.d.sync += [state.scan.eq(top), state.threshold.eq(top), state.rest.eq(self.limit.payload.rows - 1)]
                with m.If(self.limit.valid):
                    m.d.sync += state.scans.eq(1)
                    m.next = "GROUPS"
            self._search(m, banks, state)
            with m.State("SECOND"):
                m.d.comb += [state.second.eq(1), self.scores.ready.eq(room)]
                with m.If(ends):
                    m.next = "FIRST"

    def _search(self, m: Module, banks: Sequence[CountBank], state: _Search) -> None:
        """Add the states of the search. It looks at a place each cycle, and the counts arrive some cycles later."""
        scan, threshold, rest = state.scan, state.threshold, state.rest
        group = 1 << self._group_bits
        groups = Signal()
        looks = Signal()
        found = Signal()
        looked = Signal(self._adding + 2)
        m.d.sync += looked.eq(Mux(found, 0, Cat(looks, looked)))
        # The better group or the place whose count arrives, the worse group, and what is left of the rest after each.
        better = self._sum(m, "better", [Mux(groups, bank.upper, bank.single) for bank in banks])
        worse = self._sum(m, "worse", [bank.lower for bank in banks])
        width = max(len(rest), len(better) + 1)
        after_better = Signal(signed(width + 1))
        after_worse = Signal(signed(width + 2))
        m.d.comb += [after_better.eq(rest - better), after_worse.eq(after_better - worse)]

        with m.State("GROUPS"):
            m.d.comb += [looks.eq(1), groups.eq(1)]
            m.d.sync += scan.eq(scan - 2 * group)
            with m.If(looked[-1]):
                with m.If(after_better < 0):
                    m.d.comb += found.eq(1)
                    m.d.sync += scan.eq(threshold)
                    m.next = "PLACES"
                with m.Elif(after_worse < 0):
                    m.d.comb += found.eq(1)
                    m.d.sync += [rest.eq(after_better), threshold.eq(threshold - group), scan.eq(threshold - group)]
                    m.next = "PLACES"
                with m.Else():
                    # After the lowest groups the threshold becomes -1.
                    m.d.sync += [rest.eq(after_worse), threshold.eq(threshold - 2 * group)]
                    with m.If(threshold < 2 * group):
                        m.d.comb += found.eq(1)
                        m.d.sync += state.scans.eq(0)
                        m.next = "SECOND"
        with m.State("PLACES"):
            m.d.comb += looks.eq(1)
            m.d.sync += scan.eq(scan - 1)
            with m.If(looked[-1]):
                with m.If(after_better < 0):
                    m.d.comb += found.eq(1)
                    m.d.sync += state.scans.eq(0)
                    m.next = "SECOND"
                with m.Else():
                    m.d.sync += [rest.eq(after_better), threshold.eq(threshold - 1)]

    def _sum(self, m: Module, name: str, values: Sequence[Value]) -> Value:
        """Add unsigned values in a binary tree with a register at each level."""
        level = 0
        while len(values) > 1:
            sums = []
            for i in range(0, len(values), 2):
                total = Signal(len(values[0]) + 1, name=f"{name}_{level}_{i // 2}", reset_less=True)
                m.d.sync += total.eq(sum(values[i : i + 2]))
                sums.append(total)
            values, level = sums, level + 1
        return values[0]

    def _choose(self, m: Module, given: tuple[Any, Sequence[Signal], Value], state: _Search) -> Signal:
        """Choose the rows of words in the second scan and queue them; return whether there is room for more words."""
        word, places, arrives = given
        threshold, rest = state.threshold, state.rest
        passed = ("scores", "word", "last")
        layout = data.StructLayout({**{name: word.shape().members[name] for name in passed}, "chosen": self.rows})
        compared, chosen = (Signal(layout, name=name, reset_less=True) for name in ("compared", "queued"))
        above = Signal(self.rows)
        equal = Signal(self.rows)
        compares = Signal()
        queues = Signal()
        room = Signal()
        m.d.sync += [
            *(compared[name].eq(word[name]) for name in passed),
            compares.eq(arrives),
            above.eq(Cat(on & (place > threshold) for on, place in zip(word.valid, places, strict=True))),
            equal.eq(Cat(on & (place == threshold) for on, place in zip(word.valid, places, strict=True))),
        ]
        # A row equal to the threshold is chosen if fewer than the rest are equal before it.
        taken = [equal[i] & (rest >= sum(equal[:i], start=Const(0))) for i in range(self.rows)]
        selected = Signal(self.rows)
        m.d.comb += selected.eq(above | Cat(taken))
        with m.If(compares & (rest >= 0)):
            m.d.sync += rest.eq(rest - sum(equal))
        m.d.sync += [
            *(chosen[name].eq(compared[name]) for name in passed),
            chosen.chosen.eq(selected),
            queues.eq(compares & (selected.any() | compared.last)),
        ]
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=len(chosen.as_value()), depth=_QUEUE)
        m.d.comb += [queue.w_data.eq(chosen), queue.w_en.eq(queues)]
        m.d.sync += room.eq(queue.level <= _QUEUE - _UNSEEN)
        self._emit(m, queue, layout)
        return room

    def _emit(self, m: Module, queue: fifo.SyncFIFOBuffered, layout: data.StructLayout) -> None:
        """Offer the chosen rows one by one, each held until it is known whether it is the last."""
        head = data.View(layout, queue.r_data)
        result = self.results.payload
        held = Signal.like(Cat(result.score, result.id), name="held")
        holds = Signal()
        moves = Signal()
        left = Signal(self.rows)
        sent = Signal(self.rows)
        first = Signal(self.rows)
        lane = Signal(range(self.rows))
        m.d.comb += [
            left.eq(head.chosen & ~sent),
            first.eq(left & -left),
            moves.eq(queue.r_rdy & (~self.results.valid | self.results.ready)),
        ]
        for i in range(self.rows):
            with m.If(first[i]):
                m.d.comb += lane.eq(i)
        with m.If(self.results.ready):
            m.d.sync += self.results.valid.eq(0)
        with m.If(moves):
            m.d.sync += [Cat(result.score, result.id).eq(held), result.valid.eq(holds), result.last.eq(left == 0)]
            with m.If(left != 0):
                m.d.sync += [
                    self.results.valid.eq(holds),
                    held.eq(Cat(head.scores[lane], (head.word * self.rows + lane)[: len(result.id)])),
                    holds.eq(1),
                    sent.eq(sent | first),
                ]
                with m.If((left == first) & ~head.last):
                    m.d.comb += queue.r_en.eq(1)
                    m.d.sync += sent.eq(0)
            with m.Else():
                m.d.comb += queue.r_en.eq(1)
                m.d.sync += [self.results.valid.eq(1), held.eq(0), holds.eq(0), sent.eq(0)]


def _search_plan(dimensions: int, overhead: int) -> tuple[int, int, int]:
    """Return bits of a place in its group, pairs of groups, and cycles of the search.

    The group is the largest with which the search takes at most ``2 * sqrt(bins) + 8`` cycles, because sums of groups
    are in distributed RAM; without any, the one with which it takes the fewest.
    """
    places = 4 * dimensions
    plans = []
    for bits in range(1, places.bit_length()):
        pairs = -(-places // (2 << bits))
        plans.append((bits, pairs, pairs + (1 << bits) + overhead))
    within = [plan for plan in plans if (plan[2] - 8) ** 2 <= 4 * (places + 1)]
    return within[-1] if within else min(plans, key=lambda plan: plan[2])


CORE = Core(
    ThresholdSelect,
    defaults={"dimensions": 384, "keep": 512, "rows": 4, "depth": 2048},
    small={"dimensions": 8, "keep": 12, "rows": 4, "depth": 30},
    smallest={"dimensions": 2, "keep": 4, "rows": 2, "depth": 7},
)
