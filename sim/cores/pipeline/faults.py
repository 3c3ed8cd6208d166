"""Faults of pipeline, and assumptions on its inputs in proofs about its mutants."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit, StreamFaults, nit_condition

__all__ = ["MUTATION", "PROOF_FAULTS", "STREAM_FAULTS"]

MUTATION = Assumptions(
    legal=tuple(nit_condition("load", lane) for lane in range(2)),
    promise="offered nits of vectors are from -4 to 4.",
)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "order": [
        ("hdl.cores.pipeline", "(beat == 0) & (held == 0)", "beat == 0"),
    ],
}

STREAM_FAULTS = StreamFaults(
    {"mode": "tanh", "dimensions": 8, "lanes": 4, "depth": 7, "k": 3},
    "values",
    "results",
    seen_by={"reset ignored": "reset_in_mid_run"},
    without={"input stalls": "the input waits for the engine anyway"},
)
