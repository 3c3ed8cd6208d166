"""Faults of sign_miner, and assumptions of proofs about its mutants."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit

__all__ = ["MUTATION", "PROOF_FAULTS", "VECTOR_FAULTS"]

MUTATION = Assumptions(large=True)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "search": [
        ("hdl.cores.miner", "chosen.eq(of_search)", "chosen.eq(half)"),
        ("hdl.cores.miner", "search.address.eq(Cat(*number, half))", "search.address.eq(Cat(*number, of_search))"),
        ("hdl.cores.miner", "executor.scanned.eq(search.scanned)", "executor.scanned.eq(0)"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "a load leaves tickets": [
        (
            "hdl.miner.candidates",
            "m.If(self.clear | self.clear_epoch)",
            "m.If(self.clear | (self.clear_epoch & ~FAULT))",
        )
    ],
    "a reset leaves the number of the last ticket": [
        ("hdl.miner.candidates", "m.If(self.clear):", "m.If(self.clear & ~FAULT):")
    ],
    "candidates of the older ticket are the newer one's": [
        ("hdl.miner.candidates", "self._half ^ is_older", "self._half ^ (is_older & ~FAULT)")
    ],
    "the older ticket is not kept": [
        ("hdl.miner.candidates", "Cat(1, self._tickets_kept)", "Cat(1, self._tickets_kept & ~FAULT)")
    ],
    "a mask is taken for no mask": [
        ("hdl.miner.candidates", "scan.masked.eq(masked[0])", "scan.masked.eq(masked[0] & ~FAULT)")
    ],
    "a mask of a number of rows that is no multiple of 8 is a byte short": [
        ("hdl.miner.candidates", "(self._rows + 7) >> 3", "(self._rows + Mux(FAULT, 0, 7)) >> 3")
    ],
    "a FETCH past the candidates is answered": [("hdl.miner.candidates", "m.If(beyond):", "m.If(beyond & ~FAULT):")],
    "a scan for more candidates than are kept is started": [
        ("hdl.miner.candidates", "(keep > p.keep)", "((keep > p.keep) & ~FAULT)")
    ],
}
