"""Faults of uart_transmitter that its proof must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit

__all__ = ["PROOF_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "line": [
        ("hdl.cores.uart_transmitter", "(left == 1)", "(left == 2)"),
    ],
}
