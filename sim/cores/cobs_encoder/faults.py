"""Faults of the encoder and the decoder that their proof must find, and assumptions of proofs about mutants."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit

__all__ = ["MUTATION", "PROOF_FAULTS"]

MUTATION = Assumptions(large=True)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "round_trip": [
        ("hdl.cores.cobs_encoder", "empty_due.eq(zero & last)", "empty_due.eq(0)"),
    ],
}
