"""Cases of cores with one input and one output for bytes of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.hdl.catalogue import make_core
from ninefold.sim.levels.case import Case, Place, Reading, Record
from ninefold.sim.levels.script import PAUSES, Script
from ninefold.sim.verilated.streams import streams_of
from ninefold.spec.link import COBS_RUN

__all__ = ["FrameCore", "damaged", "plain"]

_NO_OPERATOR = "the processor has no counterpart: this core moves data and computes nothing"
_LONGEST = 40


class FrameCore:
    """Case of a core with one input and one output: frames and the resulting beats.

    Parameters
    ----------
    core : str
        Name of the core.
    parameters : mapping
        Parameters of the core.
    seed : int
        Seed of all frames.
    """

    #: Names of the core's streams.
    source, sink = "input", "output"
    #: Whether the host has an equivalent codec.
    on_host = False
    #: Length of the shortest frame.
    shortest = 1
    #: Argument of `Script`.
    pauses: Sequence[float] = PAUSES
    blocks = True

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        self.core = core
        self.given = parameters
        streams = {stream.name: stream for stream in streams_of(self.component())}
        self.script = Script(streams, seed, pauses=self.pauses, blocks=self.blocks)
        self.random = self.script.random
        self.count = 0
        self._host: dict[Place, Record] = {}

    def case(self, vectors: int, steps: int) -> Case:
        """Return a case of `vectors` frames and a sequence of `steps` operations."""
        self.send(self.frames(vectors))
        self.script.play(steps, self.operations(), self.fill if self.blocks else None)
        return Case(
            self.component,
            self.script.steps,
            self.script.read,
            vectors,
            self.processor if self.on_host else _NO_OPERATOR,
            operations=self.script.operations,
        )

    def component(self) -> Any:
        """Build the core."""
        return make_core(self.core, **self.given)

    def operations(self) -> Mapping[str, Callable[[], None]]:
        """Return the operations of a sequence, by description."""
        some = self.script.some
        return {
            "frames": lambda: self.send(self.frames(some(1, 4))),
            "short frames": lambda: self.send([self.frame(self.shortest + some(0, 2)) for _ in range(some(4, 16))]),
            "frames about as long as a group": lambda: self.send([self.frame(some(250, 258), 0.0) for _ in range(3)]),
            "a full core": lambda: self.send(self.frames(6), blocked=True),
            "a reset within a frame": self.reset,
        }

    def processor(self) -> Reading:
        """Return the reading of the host's codec."""
        return self._host

    def frames(self, count: int) -> list[bytes]:
        """Return frames with many zeros, and frames with long runs without one."""
        sizes = self.random.integers(self.shortest, _LONGEST, count)
        sizes[:: max(1, count // 2)] += COBS_RUN
        return [self.frame(size) for size in sizes.tolist()]

    def fill(self) -> None:
        """Fill the core, reset it, and fill it again."""
        frames = [*self.frames(4), self.frame(self.given.get("capacity", 600), 0.0)]
        for reset in (False, True):
            self.send(frames, fills=True, reset=reset)

    def send(self, frames: Sequence[bytes], **how: Any) -> None:
        """Add a step with these frames; the other arguments go to `Script.step`."""
        due: list[tuple[list[Place], Record]] = []
        for frame in frames:
            came, host = self.given_out(frame)
            places = self.script.places(self.core, f"frame {self.count}", len(came))
            self.count += 1
            due += [([place], row) for place, row in zip(places, came, strict=True)]
            self._host.update(zip(places, host, strict=False))
        sent = [record for frame in frames for record in self.taken_in(frame)]
        self.script.step({self.source: sent}, {self.sink: due}, **how)

    def one_by_one(self, frames: Sequence[bytes]) -> None:
        """Add a step for each frame."""
        for frame in frames:
            self.send([frame])

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        """Return the input beats of a frame."""
        return plain(frame)

    def given_out(self, frame: bytes) -> tuple[Sequence[Record], Sequence[Record]]:
        """Return the output beats of a frame, from the golden model and from the host's codec."""
        return plain(frame), ()

    def reset(self) -> None:
        """Reset the core within a frame."""
        sent = [record for frame in self.frames(2) for record in self.taken_in(frame)]
        self.script.step({self.source: sent[: self.script.some(1, len(sent) - 1)]}, {}, broken_off=True)
        self.send(self.frames(2), reset=True)

    def frame(self, size: int, zeros: float | None = None) -> bytes:
        """Return a frame of random bytes, with a share of zeros."""
        share = self.random.choice([0.0, 0.5]) if zeros is None else zeros
        return bytes(np.where(self.random.random(size) < share, 0, self.random.integers(1, 256, size)).tolist())


def plain(data: bytes) -> list[Record]:
    """Return a beat for each byte."""
    return [{"data": byte} for byte in data]


def damaged(random: np.random.Generator, frame: bytes) -> bytes:
    """Return the bytes of a frame, including its delimiter, with one random fault.

    The fault is a flipped bit, a truncated frame, lost bytes, a lost delimiter, or garbage before the frame.
    """
    place = int(random.integers(0, len(frame) - 1))
    fault = int(random.integers(0, 5))
    if fault == 0:
        flipped = frame[place] ^ 1 << int(random.integers(0, 8))
        return frame[:place] + bytes([flipped]) + frame[place + 1 :]
    if fault == 1:
        return frame[:place] + b"\0"
    if fault == 2:
        return frame[:place] + frame[place + int(random.integers(1, 9)) :]
    if fault == 3:
        return frame[:-1]
    return random.bytes(int(random.integers(1, 12))) + frame
