"""Faults of queue that its proof must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit, StreamFaults

__all__ = ["PROOF_FAULTS", "STREAM_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "order": [
        ("hdl.cores.queue", "room.eq(advance | (room", "room.eq(1 | (room"),
        ("hdl.cores.queue", "read.en.eq(advance)", "read.en.eq(1)"),
    ],
    "registered": [
        ("hdl.cores.queue", "moves.eq(shown & (~offered | self.output.ready))", "moves.eq(shown)"),
        ("hdl.cores.queue", "offered.eq(moves | (offered & ~self.output.ready))", "offered.eq(moves)"),
    ],
}

STREAM_FAULTS = StreamFaults(
    {"width": 5, "depth": 4},
    "input",
    "output",
    seen_by={"input stalls": "latency", "reset ignored": "reset_in_mid_stream"},
)
