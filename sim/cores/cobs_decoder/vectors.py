"""Vectors of the COBS decoder: stuffed frames, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ninefold.drivers.protocol import cobs
from ninefold.sim.golden.link import pieces, stuff
from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.frames import FrameCore, damaged, plain
from ninefold.spec.errors import InputError
from ninefold.spec.link import COBS_RUN

__all__ = ["CobsDecoderCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return CobsDecoderCase("cobs_decoder", parameters, seed).case(vectors, steps)


class CobsDecoderCase(FrameCore):
    """Case with stuffed frames, whole and damaged, answered by their bytes and ends."""

    on_host = True

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        if parameters["group"] != COBS_RUN:
            raise InputError(
                f"group must be {COBS_RUN} to be compared with the link's frames, not {parameters['group']}"
            )
        super().__init__(core, parameters, seed)

    def operations(self) -> Mapping[str, Callable[[], None]]:
        return {**super().operations(), "damaged frames": lambda: self._damaged(6)}

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        return plain(stuff(frame))

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        host: list[Record] = [{"data": byte, "end": 0} for byte in cobs.decode(cobs.encode(frame))]
        return _decoded(stuff(frame)), [*host, {"end": 1, "damaged": 0}]

    def _damaged(self, count: int) -> None:
        stream = b"".join(damaged(self.random, stuff(frame)) for frame in self.frames(count))
        # A damaged frame may have lost its end and merge with the next.
        stream += b"\0"
        came = _decoded(stream)
        places = self.script.places(self.core, "damaged frames", len(came))
        due = [([place], row) for place, row in zip(places, came, strict=True)]
        self.script.step({self.source: plain(stream)}, {self.sink: due})
        self.send(self.frames(1))


def _decoded(stream: bytes) -> list[Record]:
    """Return the output of the decoder."""
    return [{"data": p.byte, "end": int(p.end), "damaged": int(p.damaged)} for p in pieces(stream)]
