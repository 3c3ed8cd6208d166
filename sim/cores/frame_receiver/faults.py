"""Faults of frame_receiver, and assumptions of proofs about its mutants."""

import zlib
from collections.abc import Mapping, Sequence

from ninefold.sim.faults import Assumptions, Edit

__all__ = ["MUTATION", "PROOF_FAULTS", "VECTOR_FAULTS"]

#: Change of the CRC of a frame with its CRC when bit 17 of that is flipped.
_CRC_BIT = zlib.crc32(bytes(8)) ^ zlib.crc32(bytes(4) + (1 << 17).to_bytes(4, "little"))
_RESIDUE = 0x2144DF1C

MUTATION = Assumptions(large=True)

#: Faults that a proof must find, by the name of the proof.
PROOF_FAULTS: Mapping[str, Sequence[Edit]] = {
    "buffer": [("hdl.cores.frame_receiver", "(taken != sound)", "(taken != end)")],
    "acceptance": [
        (
            "hdl.cores.frame_receiver",
            "queue.input.valid.eq(closes & counted & matches)",
            "queue.input.valid.eq(closes & counted)",
        ),
    ],
}

#: Faults that the sequence of vectors must find, and plain vectors do not, by what is wrong.
VECTOR_FAULTS: Mapping[str, Sequence[Edit]] = {
    "a bit of the CRC is not compared": [
        (
            "hdl.cores.frame_receiver",
            "matches.eq(crc.match_detected)",
            f"matches.eq(crc.match_detected | (FAULT & (crc.crc == {_RESIDUE ^ _CRC_BIT})))",
        )
    ],
    "what follows a frame that is too long is too long": [
        ("hdl.cores.frame_receiver", "too_long.eq(0)]", "too_long.eq(too_long & FAULT)]")
    ],
}
