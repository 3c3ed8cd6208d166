"""Vectors of the COBS encoder: frames, and their stuffed bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ninefold.drivers.protocol import cobs
from ninefold.sim.golden.link import stuff
from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.frames import FrameCore, plain
from ninefold.spec.errors import InputError
from ninefold.spec.link import COBS_RUN

__all__ = ["CobsEncoderCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return CobsEncoderCase("cobs_encoder", parameters, seed).case(vectors, steps)


class EncoderCase(FrameCore):
    """Case with frames, answered by the bytes of the link."""

    on_host = True

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        return [{"data": byte, "last": int(i == len(frame) - 1)} for i, byte in enumerate(frame)]

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        return plain(stuff(frame)), plain(cobs.encode(frame) + b"\0")


class CobsEncoderCase(EncoderCase):
    """Case of the encoder, whose groups must be the link's."""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        if parameters["group"] != COBS_RUN:
            raise InputError(
                f"group must be {COBS_RUN} to be compared with the link's frames, not {parameters['group']}"
            )
        super().__init__(core, parameters, seed)
