"""Faults of the threshold selection that its proof, vectors and testbench must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit

__all__ = ["MUTATION", "PROOF_FAULTS", "VECTOR_FAULTS"]

#: Mutants are made of a core with keep 4, and of an odd number of rows with two to a word: the last word has one row.
MUTATION = Assumptions(
    ("limit__payload <= 4", "(~scores__valid | scores__payload[13:12] != 3 | ~scores__payload[11])"),
    "limits are at most keep, and only rows of the store take part",
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "exit": [
        ("hdl.cores.threshold_select", "(left == first) & ~head.last", "(left == first)"),
        ("hdl.cores.threshold_select", "left.eq(head.chosen & ~sent)", "left.eq(head.chosen)"),
        ("hdl.cores.threshold_select", "result.last.eq(left == 0)", "result.last.eq(left == first)"),
    ],
    "selection": [
        ("hdl.cores.threshold_select", "place > threshold", "place >= threshold"),
        ("hdl.cores.threshold_select", "rest >= sum(", "rest > sum("),
        ("hdl.cores.threshold_select", "(found >= 0)", "(found > 0)"),
        ("hdl.parts.counts", "changes_1 & (place_1 == self.place)", "changes_1 & 0"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "words are let in for which there is no room": [
        ("hdl.cores.threshold_select", "queue.level <= _QUEUE - _UNSEEN", "queue.level <= _QUEUE - _UNSEEN + 4 * FAULT")
    ],
}
