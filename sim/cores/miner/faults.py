"""Faults of miner, and assumptions of proofs about its mutants."""

from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit

__all__ = ["MUTATION", "PROOF_FAULTS", "VECTOR_FAULTS"]

MUTATION = Assumptions(large=True)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "search": [
        ("hdl.cores.miner", "executor.of_grid & ~executor.loading", "executor.of_grid"),
        ("hdl.cores.miner", "packer.restart.eq(executor.restart)", "packer.restart.eq(0)"),
        ("hdl.cores.miner", "packer.words.payload.last | executor.flush", "packer.words.payload.last"),
        ("hdl.cores.miner", "packer.words.valid & ~executor.loading", "packer.words.valid"),
        ("hdl.cores.miner", "replies.word.eq(registers.word)", "replies.word.eq(registers.word[1:])"),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "a write after a reset resets": [("hdl.miner.accesses", "resets.eq(0)]", "resets.eq(resets & FAULT)]")],
    "a load that is broken off is not flushed": [
        ("hdl.miner.loads", "self.flush.eq(begun & ", "self.flush.eq(begun & ~FAULT & "),
        ("hdl.miner.loads", "m.If(~begun | ", "m.If(~begun | FAULT | "),
    ],
    "half a word of a load that is broken off stays": [
        ("hdl.cores.miner", "packer.restart.eq(executor.restart)", "packer.restart.eq(executor.restart & ~FAULT)")
    ],
    "a load leaves the epoch": [("hdl.miner.loads", "self.clear_epoch.eq(1)", "self.clear_epoch.eq(~FAULT)")],
    "a load goes on with the CRC of the one before": [
        ("hdl.miner.rows", "crc.start.eq(self.restart)", "crc.start.eq(self.restart & ~FAULT)")
    ],
    "a reset leaves the registers of thresholds": [
        (
            "hdl.miner.registers",
            "with m.If(self.clear):\n            m.d.sync += [signal",
            "with m.If(self.clear & ~FAULT):\n            m.d.sync += [signal",
        )
    ],
    "a reset leaves the thresholds of the quantiser": [
        ("hdl.miner.accesses", "self.threshold.valid.eq(1)", "self.threshold.valid.eq(~FAULT)")
    ],
    "a reset leaves rows": [("hdl.miner.accesses", "self._rows.eq(0)", "self._rows.eq(Mux(FAULT, self._rows, 0))")],
    "a reset leaves counters": [("hdl.miner.registers", "clear.eq(self.clear | ", "clear.eq((self.clear & ~FAULT) | ")],
    "a reset leaves kept replies": [
        ("hdl.miner.accesses", "self._known.eq(0)", "self._known.eq(Mux(FAULT, self._known, 0))")
    ],
    "events are lost while counters are held": [
        ("hdl.miner.counters", "pending.eq(pending + self.event)", "pending.eq(pending + (self.event & ~FAULT))")
    ],
    "a bit of the CRCs of repeats is not compared": [
        ("hdl.miner.executor", "(difference == 0)", "((difference == 0) | (FAULT & (difference == 1 << 13)))")
    ],
}
