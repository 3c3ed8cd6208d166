"""Faults of topk that its proof must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit, StreamFaults

__all__ = ["PROOF_FAULTS", "STREAM_FAULTS", "VECTOR_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "selection": [
        ("hdl.cores.topk", "kept_valid & ~begins", "kept_valid"),
    ],
    "entrance": [
        ("hdl.cores.topk", "room >= 3", "room >= 2"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "a credit too many when a score enters": [("hdl.cores.topk", "freed & ~reserved", "freed & (~reserved | FAULT)")],
    "a credit is lost when a score enters": [("hdl.cores.topk", "reserved & ~freed", "reserved & (~freed | FAULT)")],
    "a batch stays full": [("hdl.cores.topk", "full.eq(0), gap", "full.eq(full & FAULT), gap")],
    "a batch does not wait for the one before": [
        ("hdl.cores.topk", "(~held.last | clear)", "(~held.last | clear | FAULT)")
    ],
}

STREAM_FAULTS = StreamFaults(
    {"k": 4, "score_width": 8, "id_width": 5, "signed": True},
    "scores",
    "results",
    seen_by={"input stalls": "input_never_stalls", "reset ignored": "reset_in_mid_batch"},
)
