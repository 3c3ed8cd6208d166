"""The usual top-k in hardware, to measure ours beside: k registers that each compare with what arrives."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ninefold.hdl.cores.checks import check_integer
from ninefold.spec.formats import K_MAX

__all__ = ["RegisterArrayTopK"]


class RegisterArrayTopK(wiring.Component):
    """Streaming selection of the k largest scores of each batch, by an array of registers, as textbooks have it.

    A score is compared with all registers at once; those that hold less move on by one, and it takes the first of
    their places. So each score reaches k comparators in the cycle that it arrives in: the wires to them grow with k,
    and the comparison and the move are one path.

    Throughput is one score a cycle within a batch. Results leave one a cycle behind the last score, and no score is
    taken meanwhile. If the last score of a batch is accepted in cycle t, result i is offered from cycle t + 1 + i on,
    or as soon as those before it have been accepted.

    Parameters
    ----------
    k : int
        Results a batch, 1 to 256; a batch of fewer scores gives as many results as it has scores.
    score_width, id_width : int
        Bits, 1 to 64.

    Members
    -------
    scores : In(stream.Signature({score: signed(score_width), id: id_width, last: 1}))
        The scores, each with its id; ``last`` closes a batch.
    results : Out(stream.Signature({score: signed(score_width), id: id_width, last: 1}))
        The largest of each batch, largest first, equal scores in order of arrival; ``last`` on the final one.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    def __init__(self, k: int, score_width: int, id_width: int) -> None:
        self.k = check_integer("k", k, 1, K_MAX)
        check_integer("score_width", score_width, 1, 64)
        check_integer("id_width", id_width, 1, 64)
        payload = data.StructLayout({"score": Shape(score_width, signed=True), "id": id_width, "last": 1})
        super().__init__({"scores": In(stream.Signature(payload)), "results": Out(stream.Signature(payload))})

    def elaborate(self, _platform: object) -> Module:
        """Build the registers, their comparators and the way out."""
        m = Module()
        arriving = self.scores.payload
        kept = [Signal(arriving.shape(), name=f"kept_{i}", reset_less=True) for i in range(self.k)]
        there = Signal(self.k)
        leaves = Signal()
        # A register is beaten where it is empty; of equal scores the one that is there stays.
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
