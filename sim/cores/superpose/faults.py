"""Faults of the floating-point adder that its proofs and testbench must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit, StreamFaults

__all__ = ["PROOF_FAULTS", "STREAM_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "order": [
        ("hdl.parts.credit", "queue.w_en.eq(self.push)", "queue.w_en.eq(self.take)"),
    ],
    "sum": [
        ("hdl.cores.superpose", "guard & (rest.any() | fraction[0])", "guard"),
        ("hdl.cores.superpose", "value[: (1 << place) + 1].any()", "value[1 << place]"),
        ("hdl.cores.superpose", "one.exponent[0] | ~one.exponent.any()", "one.exponent[0]"),
        ("hdl.cores.superpose", "given.infinite | power.all()", "given.infinite"),
    ],
}

STREAM_FAULTS = StreamFaults(
    {"exponent": 4, "fraction": 3},
    "input",
    "output",
    seen_by={"input stalls": "every_pair", "reset ignored": "reset_in_mid_stream"},
)
