"""Faults of the decoder of the Hilbert curve that its proofs and testbench must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit, StreamFaults

__all__ = ["PROOF_FAULTS", "STREAM_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "points": [
        ("hdl.cores.hilbert_decoder", "given[-1] >> 1", "given[-1]"),
    ],
    "neighbours": [
        ("hdl.cores.hilbert_decoder", "(given[i] ^ given[i - 1] for", "(given[i] for"),
    ],
    "inverse": [
        ("hdl.cores.hilbert_decoder", "turns(self.dimensions, self.bits)[::-1]", "turns(self.dimensions, self.bits)"),
    ],
}

STREAM_FAULTS = StreamFaults(
    {"dimensions": 3, "bits": 2},
    "input",
    "output",
    seen_by={"input stalls": "every_index", "reset ignored": "reset_in_mid_stream"},
)
