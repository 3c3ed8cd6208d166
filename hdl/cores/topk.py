"""Top-k core: selects the k largest scores of each batch, in order."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.hdl.core import Core
from ninefold.hdl.parts.chain import ChainedFIFO
from ninefold.spec.errors import InputError
from ninefold.spec.formats import K_MAX

__all__ = ["CORE", "TopK", "TopKCell"]

_SCORE_WIDTH_MAX = 64
_ID_WIDTH_MAX = 64


def _entry(score_width: int, id_width: int) -> data.StructLayout:
    """Layout of a score with its id. Scores are unsigned within the array."""
    return data.StructLayout({"score": score_width, "id": id_width})


class TopKCell(wiring.Component):
    """Cell of the systolic array: keeps the best entry of a batch so far and passes the others on.

    Time is divided into slots, one per cycle, which move down the array at two cycles per cell. A slot may hold an
    entry, and is marked if it is the last of its batch. The slot after a last one starts a batch, with or without an
    entry.

    The comparison with the kept entry is a feedback loop, because keeping an entry changes what the next one is
    compared with. Therefore each entry is compared one cycle early, both with the kept entry and with the entry ahead
    of it. One multiplexer then selects the comparison that applies, so no comparator is in the loop.

    Parameters
    ----------
    score_width, id_width : int
        Widths of score and id in bits.

    Members
    -------
    slot : In({entry, valid: 1, displaced: 1, last: 1})
        Slot from the previous cell. A ``displaced`` entry was kept there and is kept here without a comparison.
    next_slot : Out({entry, valid: 1, displaced: 1, last: 1})
        Slot to the next cell: the entry that was not kept.
    result : In({entry, valid: 1, head: 1})
        Results of the previous cells; ``head`` marks the first of a batch.
    next_result : Out({entry, valid: 1, head: 1})
        Results delayed by a cycle, or, at the end of a batch, the entry that this cell kept.
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
        # Only the valid bits of entries are reset.
        kept, turn, passed, result = (
            Signal(slot.entry.shape(), name=name, reset_less=True) for name in ("kept", "turn", "passed", "leaving")
        )
        kept_valid = Signal()
        turn_valid = Signal()
        turn_last = Signal()
        begins = Signal()
        m.d.sync += [turn.eq(slot.entry), turn_valid.eq(slot.valid), turn_last.eq(slot.last), begins.eq(turn_last)]

        # A displaced entry is better than all others. Replacing no entry by no entry has no effect. The borrow of a
        # subtraction is one carry chain.
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

        # An empty slot must not overwrite a result of the next batch, which may already arrive here.
        launches = Signal()
        m.d.sync += [
            launches.eq(turn_last & Mux(replace, turn_valid, kept_valid)),
            result.eq(Mux(launches, kept, self.result.entry)),
            self.next_result.valid.eq(launches | self.result.valid),
            self.next_result.head.eq(launches if self._head else self.result.head),
        ]
        m.d.comb += self.next_result.entry.eq(result)
        return m


class TopK(wiring.Component):
    """Streaming selection of the k largest scores of each batch, largest first, equal scores in order of arrival.

    A systolic array of ``k`` cells sorts the batch as it enters. The array never stalls: an entry enters only if there
    is room for its result at the output. Back-pressure therefore ends at the input, and all wires between cells are
    local. The results of a batch leave through a shift register beside the array while the next batch enters.

    Throughput is one score a cycle. With ``results`` always ready there is no bubble within a batch, and none between
    batches of ``k`` or more scores, or of equal length. A batch of n scores after one with c results takes
    max(n, c) cycles: the last score of a short batch waits, because results leave at one per cycle.

    If the last score of a batch is accepted in cycle t, and the batch need not wait for the previous one, result i
    (from 0) is offered from cycle t + ``latency`` + i on, or as soon as the earlier results have been accepted.

    Parameters
    ----------
    k : int
        Results per batch, 1 to 256. A batch of fewer scores has as many results as scores.
    score_width : int
        Bits per score, 1 to 64.
    id_width : int
        Bits per id, 1 to 64.
    signed : bool
        True for signed scores.

    Attributes
    ----------
    latency : int
        ``k + 5 + 2 * ceil((2 * k + 6) / 15)`` cycles: 17 for k = 8, 87 for k = 64.

    Members
    -------
    scores : In(stream.Signature({score: score_width, id: id_width, last: 1}))
        Scores with their ids; ``last`` ends a batch.
    results : Out(stream.Signature({score: score_width, id: id_width, last: 1}))
        Largest scores of each batch, with ``last`` on the final one.

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
        # Room for a result is reserved when its score enters. It is free again 2k + 6 cycles plus the latency of the
        # queue later, if the batch has k scores and nothing stalls. A link adds 17 places and 2 cycles.
        self._queue = ChainedFIFO(payload, links=-(-(2 * k + 6) // 15))
        self.latency = k + 5 + self._queue.latency
        super().__init__({"scores": In(stream.Signature(payload)), "results": Out(stream.Signature(payload))})

    def elaborate(self, _platform: object) -> Module:
        """Build the input stage, the array and the queue of results."""
        m = Module()
        cells = self._array(m)
        m.submodules.queue = queue = self._queue
        wiring.connect(m, queue.output, wiring.flipped(self.results))
        # Scores are unsigned within the array; inverting the sign bit keeps their order.
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
        # A payload without a score stays outside. If it is unknown (X), a simulator could not determine that
        # comparisons with it have no effect.
        with m.If(holds):
            m.d.sync += [slot.entry.score.eq(held.score.as_unsigned() ^ offset), slot.entry.id.eq(held.id)]
        m.d.sync += [
            slot.valid.eq(enters),
            slot.displaced.eq(slot.last),
            slot.last.eq(enters & held.last),
        ]

        # Output. Results follow one another without a bubble, so the next slot shows whether a result is the last.
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
        """Add the cells, each connected to the previous one."""
        cells = [TopKCell(self.score_width, self.id_width, head=i == 0) for i in range(self.k)]
        for i, cell in enumerate(cells):
            m.submodules[f"cell_{i}"] = cell
        for before, cell in pairwise(cells):
            m.d.comb += [cell.slot.eq(before.next_slot), cell.result.eq(before.next_result)]
        return cells


CORE = Core(
    TopK,
    defaults={"k": 8, "score_width": 16, "id_width": 10, "signed": True},
    small={"k": 3, "score_width": 8, "id_width": 6},
    smallest={"k": 3, "score_width": 3, "id_width": 2, "signed": True},
)
