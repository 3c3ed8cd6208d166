"""Vectors of the frame sender: frames, and their stuffed bytes with a CRC-32."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from ninefold.drivers.protocol import cobs
from ninefold.sim.cores.cobs_encoder.vectors import EncoderCase
from ninefold.sim.golden.link import encoded
from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.frames import plain
from ninefold.spec.link import CRC_BYTES, HEADER_BYTES

__all__ = ["FrameSenderCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return FrameSenderCase("frame_sender", parameters, seed).case(vectors, steps)


class FrameSenderCase(EncoderCase):
    """Case with frames, answered by their stuffed bytes with a CRC-32."""

    source = "frames"
    shortest = HEADER_BYTES

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        checked = frame + zlib.crc32(frame).to_bytes(CRC_BYTES, "little")
        return plain(encoded(frame)), plain(cobs.encode(checked) + b"\0")
