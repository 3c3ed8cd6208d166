"""Faults of the wave lattice that its proof and vectors must find."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit

__all__ = ["MUTATION", "PROOF_FAULTS", "VECTOR_FAULTS"]

#: The multipliers are too large for proofs of whole mutants.
MUTATION = Assumptions(large=True)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "steps": [
        ("hdl.cores.wave_lattice", "Mux(leftmost, below[2], own[2])", "Mux(leftmost, below[1], own[2])"),
        ("hdl.cores.wave_lattice", "Mux(rightmost, above[0], own[0])", "own[0]"),
        ("hdl.cores.wave_lattice", "arrives & (here.row == 1)", "arrives & (here.row == 2)"),
        ("hdl.cores.wave_lattice", "here.row == self.height + 1, first", "here.row == self.height + 2, first"),
        ("hdl.cores.wave_lattice", " & (at.row != self.height + 2)", ""),
        ("hdl.cores.wave_lattice", "over.eq(last & ~over)", "over.eq((place == 1) & ~over)"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "two steps are one": [
        ("hdl.cores.wave_lattice", "with m.If(left == 1)", "with m.If((left == 1) | ((left == 2) & FAULT))"),
    ],
}
