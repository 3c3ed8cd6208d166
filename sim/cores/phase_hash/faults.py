"""Faults of the phase hash that its proofs and testbench must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit, StreamFaults

__all__ = ["PROOF_FAULTS", "STREAM_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "floating": [
        ("hdl.cores.phase_hash", "Cat(parts[i].sign & parts[i].ones.any(), parts[i]", "Cat(parts[i].sign, parts[i]"),
        ("hdl.cores.phase_hash", "(left & ~above)", "left"),
    ],
    "integers": [
        ("hdl.cores.phase_hash", "self.width - self.floating", "self.width - 1"),
    ],
}

STREAM_FAULTS = StreamFaults(
    {"dimensions": 2, "width": 5, "floating": True},
    "input",
    "output",
    seen_by={"input stalls": "latency", "reset ignored": "reset_in_mid_stream"},
)
