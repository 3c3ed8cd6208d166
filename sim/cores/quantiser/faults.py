"""Faults of quantiser that its proof must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit, StreamFaults

__all__ = ["PROOF_FAULTS", "STREAM_FAULTS", "VECTOR_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "rule": [
        ("hdl.cores.quantiser", "Mux(negative[1], -count, count)", "Mux(negative[0], -count, count)"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "thresholds outlive a reset": [
        (
            "hdl.cores.quantiser",
            "        for lane in range(self.lanes):\n",
            "        sticky = Array(Signal(16, init=t.init, reset_less=True) for t in thresholds)\n"
            "        with m.If(self.threshold.valid):\n"
            "            m.d.sync += sticky[self.threshold.payload.index].eq(self.threshold.payload.value)\n"
            "        for lane in range(self.lanes):\n",
        ),
        (
            "hdl.cores.quantiser",
            "Cat(magnitude >= threshold for threshold in thresholds)",
            "Cat(magnitude >= Mux(FAULT, s, t) for s, t in zip(sticky, thresholds))",
        ),
    ],
}

STREAM_FAULTS = StreamFaults(
    {"mode": "tanh", "lanes": 3},
    "values",
    "nits",
    seen_by={"input stalls": "every_grid_value", "reset ignored": "reset_in_mid_stream"},
)
