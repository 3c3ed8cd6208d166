"""Top-k miner: the k largest of each batch of scores, in order."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.chain import ChainedFIFO
from ninefold.hdl.cores.checks import check_integer
from ninefold.spec.errors import InputError
from ninefold.spec.formats import K_MAX

__all__ = ["TopKCell", "TopKMiner"]

_SCORE_WIDTH_MAX = 64
_ID_WIDTH_MAX = 64


def _entry(score_width: int, id_width: int) -> data.StructLayout:
    """Layout of a score with its id; in the array scores are unsigned."""
    return data.StructLayout({"score": score_width, "id": id_width})


class TopKCell(wiring.Component):
    """One cell of the systolic array: keeps the best entry of a batch that has reached it, and hands on the others.

    Time is divided into slots, one a cycle, which move down the array two cycles a cell. A slot holds an entry or
    none, and tells whether it is the last one of its batch. The slot behind a last one begins a batch, with an entry
    or without.

    The comparison with the kept entry is a loop: whether a slot's entry is kept decides what the next one is compared
    with. So each entry is compared in the cycle before its turn, both with the kept entry and with the entry in front
    of it; when its turn comes, one multiplexer picks the comparison that holds, and no comparator is in the loop.

    Parameters
    ----------
    score_width, id_width : int
        Widths of score and id in bits.

    Members
    -------
    slot : In({entry, valid: 1, displaced: 1, last: 1})
        Slot from the cell before. A ``displaced`` entry was kept there and is kept here without a comparison.
    next_slot : Out({entry, valid: 1, displaced: 1, last: 1})
        Slot to the cell behind: the entry that was not kept.
    result : In({entry, valid: 1, head: 1})
        Results of the cells before; ``head`` marks the first of a batch.
    next_result : Out({entry, valid: 1, head: 1})
        The same a cycle later, or, when a batch is over, what this cell kept of it.
    """

    def __init__(self, score_width: int, id_width: int, *, head: bool) -> None:
        self._head = head
        entry = _entry(score_width, id_width)
        slot = data.StructLayout({"entry": entry, "valid": 1, "displaced": 1, "last": 1})
        result = data.StructLayout({"entry": entry, "valid": 1, "head": 1})
        super().__init__({"slot": In(slot), "next_slot": Out(slot), "result": In(result), "next_result": Out(result)})

    def elaborate(self, _platform: object) -> Module:
        """Build the kept entry, the two comparisons and the two shift registers."""
        m = Module()
        slot = self.slot
        # Entries are not reset: their valid bits are.
        kept, turn, passed, result = (
            Signal(slot.entry.shape(), name=name, reset_less=True) for name in ("kept", "turn", "passed", "leaving")
        )
        kept_valid = Signal()
        turn_valid = Signal()
        turn_last = Signal()
        begins = Signal()
        m.d.sync += [turn.eq(slot.entry), turn_valid.eq(slot.valid), turn_last.eq(slot.last), begins.eq(turn_last)]

        # A displaced entry beats all. No entry may beat no entry, with no effect. The borrow of a subtraction is one
        # carry chain.
        beats_kept = Signal()
        beats_turn = Signal()
        replace = Signal()
        replaced = Signal()
        incoming = Cat(slot.entry.score, slot.valid, slot.displaced)
        m.d.sync += [
            beats_kept.eq((Cat(kept.score, kept_valid) - incoming)[-1]),
            beats_turn.eq((Cat(turn.score, turn_valid) - incoming)[-1]),
            replaced.eq(replace),
        ]
        m.d.comb += replace.eq(Mux(replaced, beats_turn, beats_kept))
        with m.If(replace):
            m.d.sync += [kept.eq(turn), kept_valid.eq(turn_valid)]

        m.d.sync += [
            passed.eq(Mux(replace, kept, turn)),
            self.next_slot.valid.eq(Mux(replace, kept_valid & ~begins, turn_valid)),
            self.next_slot.displaced.eq(replace),
            self.next_slot.last.eq(turn_last),
        ]
        m.d.comb += self.next_slot.entry.eq(passed)

        # What is not an entry must not overwrite a result of the next batch, which may be on its way here already.
        launches = Signal()
        m.d.sync += [
            launches.eq(turn_last & Mux(replace, turn_valid, kept_valid)),
            result.eq(Mux(launches, kept, self.result.entry)),
            self.next_result.valid.eq(launches | self.result.valid),
            self.next_result.head.eq(launches if self._head else self.result.head),
        ]
        m.d.comb += self.next_result.entry.eq(result)
        return m


class TopKMiner(wiring.Component):
    """Streaming selection of the k largest scores of each batch, largest first, equal scores in order of arrival.

    A systolic array of ``k`` cells sorts the batch as it enters. Nothing stalls the array: an entry enters it only
    when there is room for its result behind it, so back-pressure ends at the entrance and every wire between cells is
    local. The results of a batch leave through a shift register beside the array while the next batch enters.

    Throughput is one score a cycle. With ``results`` always ready there is no bubble within a batch, and none between
    batches of ``k`` or more scores, or of equal length. A batch of n scores behind one with c results takes
    max(n, c) cycles: a shorter batch than the one before waits with its last score, since results leave at one a cycle.

    If the last score of a batch is accepted in cycle t, and the batch need not wait for the one before, result i (from
    0) is offered from cycle t + ``latency`` + i on, or as soon as the results before it have been accepted.

    Parameters
    ----------
    k : int
        Results a batch, 1 to 256; a batch of fewer scores gives as many results as it has scores.
    score_width : int
        Bits a score, 1 to 64.
    id_width : int
        Bits an id, 1 to 64.
    signed : bool
        Whether scores are signed.

    Attributes
    ----------
    latency : int
        ``k + 5 + 2 * ceil((2 * k + 6) / 15)`` cycles: 17 for k = 8, 87 for k = 64.

    Members
    -------
    scores : In(stream.Signature({score: score_width, id: id_width, last: 1}))
        The scores, each with its id; ``last`` closes a batch.
    results : Out(stream.Signature({score: score_width, id: id_width, last: 1}))
        The largest of each batch, ``last`` on the final one.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, k: int, score_width: int, id_width: int, signed: bool = True) -> None:
        self.k = check_integer("k", k, 1, K_MAX)
        self.score_width = check_integer("score_width", score_width, 1, _SCORE_WIDTH_MAX)
        self.id_width = check_integer("id_width", id_width, 1, _ID_WIDTH_MAX)
        if not isinstance(signed, bool):
            raise InputError(f"signed must be True or False, not {signed!r}")
        self.signed = signed
        payload = data.StructLayout({"score": Shape(score_width, signed=signed), "id": id_width, "last": 1})
        # Room for a result is reserved when its score enters, and is free again 2k + 6 cycles and the latency of the
        # queue later, when the batch has k scores and nothing stalls. A link adds 17 places and 2 cycles.
        self._queue = ChainedFIFO(payload, links=-(-(2 * k + 6) // 15))
        self.latency = k + 5 + self._queue.latency
        super().__init__({"scores": In(stream.Signature(payload)), "results": Out(stream.Signature(payload))})

    def elaborate(self, _platform: object) -> Module:
        """Build entrance, array and the queue of results."""
        m = Module()
        cells = self._array(m)
        m.submodules.queue = queue = self._queue
        wiring.connect(m, queue.output, wiring.flipped(self.results))
        # In the array scores are unsigned: the sign bit inverted keeps the order.
        offset = Const(int(self.signed) << (self.score_width - 1), unsigned(self.score_width))

        # Credits: `room` is what the queue has room for, not counting the results on their way to it. It lags by two
        # cycles, in which two scores may have entered, so that no counter is on the path to `ready`.
        room = Signal(range(queue.depth + 1), init=queue.depth)
        spare = Signal()
        reserved = Signal()
        freed = Signal()
        m.d.sync += [spare.eq(room >= 3), freed.eq(self.results.valid & self.results.ready)]
        with m.If(reserved & ~freed):
            m.d.sync += room.eq(room - 1)
        with m.Elif(freed & ~reserved):
            m.d.sync += room.eq(room + 1)

        # Entrance. `spilled` takes the score that arrives while the one that is held cannot enter, so that `ready` is a
        # register. `earlier` scores of the batch came before the held one, counted to k - 1; the batch is `full` when
        # k have. A batch may close when `clear`: the results of the batch before then are out of the way of its own.
        held = Signal(self.scores.payload.shape(), reset_less=True)
        spilled = Signal.like(held)
        holds = Signal()
        spills = Signal()
        enters = Signal()
        full = Signal()
        earlier = Signal(range(self.k))
        gap = Signal(range(self.k))
        clear = Signal(init=1)
        m.d.comb += [
            enters.eq(holds & (full | spare) & (~held.last | clear)),
            self.scores.ready.eq(~spills),
        ]
        with m.If(~spills):
            m.d.sync += spilled.eq(self.scores.payload)
        with m.If(~holds | enters):
            m.d.sync += [
                held.eq(Mux(spills, spilled, self.scores.payload)),
                holds.eq(spills | self.scores.valid),
                spills.eq(0),
            ]
        with m.Elif(self.scores.valid):
            m.d.sync += spills.eq(1)
        m.d.sync += [reserved.eq(enters & ~full), clear.eq(gap <= 1)]
        with m.If(gap != 0):
            m.d.sync += gap.eq(gap - 1)
        with m.If(enters):
            with m.If(held.last):
                m.d.sync += [earlier.eq(0), full.eq(0), gap.eq(earlier), clear.eq(earlier == 0)]
            with m.Elif(earlier == self.k - 1):
                m.d.sync += full.eq(1)
            with m.Else():
                m.d.sync += earlier.eq(earlier + 1)
        slot = cells[0].slot
        # What is offered with no score stays outside: where it is unknown (X), a simulator could not tell that the
        # comparisons with it have no effect.
        with m.If(holds):
            m.d.sync += [slot.entry.score.eq(held.score.as_unsigned() ^ offset), slot.entry.id.eq(held.id)]
        m.d.sync += [
            slot.valid.eq(enters),
            slot.displaced.eq(slot.last),
            slot.last.eq(enters & held.last),
        ]

        # Exit. Results follow one another without a bubble, so what comes next tells whether one is the last.
        coming = cells[-1].next_result
        leaving = Signal(coming.entry.shape(), reset_less=True)
        leaves = Signal()
        m.d.sync += [leaving.eq(coming.entry), leaves.eq(coming.valid)]
        m.d.comb += [
            queue.input.valid.eq(leaves),
            queue.input.payload.score.eq(leaving.score ^ offset),
            queue.input.payload.id.eq(leaving.id),
            queue.input.payload.last.eq(~coming.valid | coming.head),
        ]
        return m

    def _array(self, m: Module) -> list[TopKCell]:
        """Add the cells, each connected to the one before."""
        cells = [TopKCell(self.score_width, self.id_width, head=i == 0) for i in range(self.k)]
        for i, cell in enumerate(cells):
            m.submodules[f"cell_{i}"] = cell
        for before, cell in pairwise(cells):
            m.d.comb += [cell.slot.eq(before.next_slot), cell.result.eq(before.next_result)]
        return cells
