"""Faults of frame_sender, and assumptions of proofs about its mutants."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit, StreamFaults

__all__ = ["MUTATION", "PROOF_FAULTS", "STREAM_FAULTS"]

MUTATION = Assumptions(large=True)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "frames": [
        ("hdl.cores.frame_sender", "crc.start.eq(1)", "crc.start.eq(0)"),
    ],
}

STREAM_FAULTS = StreamFaults(
    {},
    "frames",
    "output",
    seen_by={"input stalls": "latency", "reset ignored": "reset_in_mid_frame"},
)
