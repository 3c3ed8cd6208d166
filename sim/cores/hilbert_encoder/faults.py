"""Faults of the encoder of the Hilbert curve that its proofs and testbench must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit, StreamFaults

__all__ = ["PROOF_FAULTS", "STREAM_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "indices": [
        ("hdl.cores.hilbert_encoder", "last[bit + 1 :].xor()", "last[bit:].xor()"),
        ("hdl.parts.credit", "credits != 0", "credits >= 0"),
    ],
    "bijection": [
        ("hdl.cores.hilbert_encoder", "x.append(x[-1] ^ point[i])", "x.append(x[-1] | point[i])"),
    ],
}

STREAM_FAULTS = StreamFaults(
    {"dimensions": 3, "bits": 2},
    "input",
    "output",
    seen_by={"input stalls": "every_point", "reset ignored": "reset_in_mid_stream"},
)
