"""Vectors of the queue: words of random value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ninefold.hdl.catalogue import make_core
from ninefold.sim.levels.case import Case, Place, Record
from ninefold.sim.levels.frames import FrameCore
from ninefold.sim.levels.ports import StreamsOnly

__all__ = ["QueueCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return QueueCase("queue", parameters, seed).case(vectors, steps)


class QueueCase(FrameCore):
    """Case with words of random value."""

    def component(self) -> Any:
        return StreamsOnly(make_core(self.core, **self.given))

    def operations(self) -> Mapping[str, Callable[[], None]]:
        some, depth = self.script.some, self.given["depth"]
        return {
            "words": lambda: self.send([bytes(some(1, depth))]),
            "single words": lambda: self.one_by_one([bytes(1)] * 4),
            "a full queue": lambda: self.send([bytes(2 * depth + 3)], blocked=True),
            "a reset": self.reset,
        }

    def frames(self, count: int) -> list[bytes]:
        return [bytes(2 * self.given["depth"] + 3) for _ in range(count)]

    def send(self, frames: Sequence[bytes], **how: Any) -> None:
        """Add a step with one word of random value for each byte."""
        rows: list[Record] = []
        due: list[tuple[list[Place], Record]] = []
        for frame in frames:
            words = self.taken_in(frame)
            rows += words
            places = self.script.places(self.core, f"word {self.count}", len(words))
            self.count += 1
            due += [([place], row) for place, row in zip(places, words, strict=True)]
        self.script.step({self.source: rows}, {self.sink: due}, **how)

    def taken_in(self, frame: bytes) -> Sequence[Record]:
        top = 1 << min(self.given["width"], 62)
        return [{"data": value} for value in self.random.integers(0, top, len(frame)).tolist()]
