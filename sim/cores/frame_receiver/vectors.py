"""Vectors of the frame receiver: frames, whole and damaged."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ninefold.hdl.catalogue import make_core
from ninefold.sim.golden.link import encoded, receive, stuff
from ninefold.sim.levels.case import Case, Place, Record
from ninefold.sim.levels.frames import FrameCore, damaged, plain
from ninefold.sim.levels.ports import StreamsOnly
from ninefold.sim.levels.script import Due
from ninefold.spec.link import CRC_BYTES, HEADER_BYTES

__all__ = ["FrameReceiverCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return FrameReceiverCase("frame_receiver", parameters, seed).case(vectors, steps)


class FrameReceiverCase(FrameCore):
    """Case with frames, whole and damaged, answered by headers and payloads."""

    shortest = HEADER_BYTES

    def component(self) -> Any:
        return StreamsOnly(make_core(self.core, **self.given))

    def operations(self) -> Mapping[str, Callable[[], None]]:
        capacity = self.given["capacity"]
        return {
            **super().operations(),
            "a bit of the CRC": self._checks,
            "damaged frames": lambda: self.send(self.frames(6), damage=1.0),
            "a frame that is too long": lambda: self.send([self.frame(capacity + 9), *self.frames(2)]),
        }

    def send(self, frames: Sequence[bytes], *, damage: float | None = None, **how: Any) -> None:
        """Add a step with these frames and damage a share of them, by default a third of the plain ones."""
        share = damage if damage is not None else 0.0 if self.script.number else 1 / 3
        sent = [encoded(frame) for frame in frames]
        stream = b"".join(damaged(self.random, one) if self.random.random() < share else one for one in sent)
        self._step(stream + b"\0", **how)

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        return plain(encoded(frame))

    def _checks(self) -> None:
        """Send a frame with each bit of its CRC flipped in turn, then once intact."""
        (frame,) = self.frames(1)
        check = zlib.crc32(frame)
        flipped = [check ^ 1 << bit for bit in range(8 * CRC_BYTES)]
        self._step(b"".join(stuff(frame + c.to_bytes(CRC_BYTES, "little")) for c in [*flipped, check]))

    def _step(self, stream: bytes, **how: Any) -> None:
        headers: list[tuple[list[Place], Record]] = []
        payload: list[tuple[list[Place], Record]] = []
        for frame in receive(stream, self.given["capacity"] - 1).frames:
            called, size = f"frame {self.count}", len(frame) - HEADER_BYTES
            self.count += 1
            head = dict(zip(("type", "sequence", "priority", "epoch"), frame, strict=False))
            head |= {"crc": zlib.crc32(frame), "length": size}
            headers.append((self.script.places("headers", called, 1), head))
            places = self.script.places("payload", called, size)
            payload += [([place], row) for place, row in zip(places, plain(frame[HEADER_BYTES:]), strict=True)]
        outputs: Mapping[str, Due] = {"headers": headers, "payload": payload}
        self.script.step({"input": plain(stream)}, outputs, **how)
