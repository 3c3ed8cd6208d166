"""Faults of insertion that its proof must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit

__all__ = ["PROOF_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "selection": [
        ("hdl.cores.insertion", "held.score > above.score", "held.score >= above.score"),
    ],
}
