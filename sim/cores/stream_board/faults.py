"""Faults of stream_board, and assumptions of proofs about its mutants."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit

__all__ = ["MUTATION", "VECTOR_FAULTS"]

MUTATION = Assumptions(large=True)

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "a reset leaves the turn": [
        ("hdl.stream_board.executor", "self.turn.eq(0)]", "self.turn.eq(Mux(FAULT, self.turn, 0))]")
    ],
    "a PUSH out of turn is executed": [
        ("hdl.stream_board.executor", "with m.If(~turns):", "with m.If(~turns & ~FAULT):")
    ],
}
