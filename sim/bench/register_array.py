"""Textbook top-k in hardware, the peer of the core `topk`: k registers that each compare with the arriving score."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.checks import check_integer
from ninefold.spec.formats import K_MAX

__all__ = ["RegisterArrayTopK"]


class RegisterArrayTopK(wiring.Component):
    """Streaming selection of the k largest scores of each batch by a textbook array of registers.

    A score is compared with all registers at once. The registers with smaller scores shift by one, and the score takes
    the first of their places. Each score therefore drives k comparators in the cycle in which it arrives: the fan-out
    grows with k, and comparison and shift are one path.

    Throughput is one score a cycle within a batch. Results leave one a cycle after the last score; no score is accepted
    until all have left. If the last score of a batch is accepted in cycle t, result i is offered from cycle t + 1 + i
    on, or once the results before it have been accepted.

    Parameters
    ----------
    k : int
        Results a batch, 1 to 256; a batch of fewer scores gives one result a score.
    score_width, id_width : int
        Bits, 1 to 64.

    Members
    -------
    scores : In(stream.Signature({score: signed(score_width), id: id_width, last: 1}))
        Scores, each with its id; ``last`` closes a batch.
    results : Out(stream.Signature({score: signed(score_width), id: id_width, last: 1}))
        Largest scores of each batch, largest first, equal scores in order of arrival; ``last`` on the final one.

    Raises
    ------
    InputError
        A parameter is outside its range.
    """

    def __init__(self, k: int, score_width: int, id_width: int) -> None:
        self.k = check_integer("k", k, 1, K_MAX)
        check_integer("score_width", score_width, 1, 64)
        check_integer("id_width", id_width, 1, 64)
        payload = data.StructLayout({"score": Shape(score_width, signed=True), "id": id_width, "last": 1})
        super().__init__({"scores": In(stream.Signature(payload)), "results": Out(stream.Signature(payload))})

    def elaborate(self, _platform: object) -> Module:
        """Build the registers, their comparators and the output."""
        m = Module()
        arriving = self.scores.payload
        kept = [Signal(arriving.shape(), name=f"kept_{i}", reset_less=True) for i in range(self.k)]
        there = Signal(self.k)
        leaves = Signal()
        # An empty register is always replaced; of equal scores the earlier one stays.
        beaten = Cat(~there[i] | (arriving.score > register.score) for i, register in enumerate(kept))
        m.d.comb += [
            self.scores.ready.eq(~leaves),
            self.results.valid.eq(leaves),
            self.results.payload.score.eq(kept[0].score),
            self.results.payload.id.eq(kept[0].id),
            self.results.payload.last.eq(~there[1] if self.k > 1 else 1),
        ]
        with m.If(self.scores.valid & self.scores.ready):
            m.d.sync += [there.eq(Cat(1, there)), leaves.eq(arriving.last)]
            for i, register in enumerate(kept):
                with m.If(beaten[i]):
                    m.d.sync += register.eq(arriving)
                    if i:
                        with m.If(beaten[i - 1]):
                            m.d.sync += register.eq(kept[i - 1])
        with m.If(self.results.valid & self.results.ready):
            m.d.sync += [there.eq(there >> 1), leaves.eq(~self.results.payload.last)]
            for before, register in zip(kept[1:], kept[:-1], strict=True):
                m.d.sync += register.eq(before)
        return m
