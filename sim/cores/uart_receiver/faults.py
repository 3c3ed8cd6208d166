"""Faults of uart_receiver that its proof must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Edit

__all__ = ["PROOF_FAULTS"]

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "bytes": [
        ("hdl.cores.uart_receiver", "timer.eq(self.divisor // 2 - 1)", "timer.eq(0)"),
        ("hdl.cores.uart_receiver", "shifted.eq(Cat(shifted[1:], line))", "shifted.eq(Cat(line, shifted[:-1]))"),
    ],
}
