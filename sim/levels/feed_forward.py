"""Cases of the cores that compute a function of each element."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ninefold.hdl.catalogue import make_core
from ninefold.sim.levels.case import Case, Place, Reading, Record
from ninefold.sim.levels.script import Script
from ninefold.sim.verilated.streams import streams_of

__all__ = ["FunctionCore"]


class FunctionCore(ABC):
    """Case of a core with streams ``input`` and ``output``: elements, and the function of each.

    Parameters
    ----------
    core : str
        Name of the core.
    parameters : mapping
        Parameters of the core.
    seed : int
        Seed of all elements.
    """

    #: Reason that the processor does not compute the function; empty if it does.
    refused = ""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        self.core, self.given = core, parameters
        streams = {stream.name: stream for stream in streams_of(make_core(core, **parameters))}
        self.script = Script(streams, seed)
        self.random = self.script.random
        self._sent: list[tuple[Place, Record]] = []
        self._runs = 0

    @abstractmethod
    def draw(self) -> Record:
        """Return a random element."""

    @abstractmethod
    def model(self, element: Record) -> Record:
        """Return the golden model's output for an element."""

    @abstractmethod
    def compute(self, elements: Sequence[Record]) -> Sequence[Record]:
        """Return the processor's outputs for elements, or a part of their fields."""

    def case(self, vectors: int, steps: int) -> Case:
        """Return a case of `vectors` elements and a sequence of `steps` operations."""
        self._send(vectors)
        some = self.script.some
        operations: Mapping[str, Callable[[], None]] = {
            "elements": lambda: self._send(some(1, 12)),
            "single elements": self._one_by_one,
            "a full core": lambda: self._send(40, blocked=True),
            "a reset": self._reset,
        }
        self.script.play(steps, operations, self._fill)
        return Case(
            lambda: make_core(self.core, **self.given),
            self.script.steps,
            self.script.read,
            vectors,
            self.refused or self._processor,
            operations=self.script.operations,
        )

    def _processor(self) -> Reading:
        places, elements = zip(*self._sent, strict=True)
        return dict(zip(places, self.compute(elements), strict=True))

    def _send(self, count: int, **how: Any) -> None:
        elements = [self.draw() for _ in range(count)]
        places = self.script.places(self.core, f"run {self._runs}", count)
        self._runs += 1
        self._sent += zip(places, elements, strict=True)
        due = [([place], self.model(element)) for place, element in zip(places, elements, strict=True)]
        self.script.step({"input": elements}, {"output": due}, **how)

    def _one_by_one(self) -> None:
        for _ in range(3):
            self._send(1)

    def _reset(self) -> None:
        elements = [self.draw() for _ in range(self.script.some(1, 20))]
        self.script.step({"input": elements}, {}, broken_off=True)
        self._send(3, reset=True)

    def _fill(self) -> None:
        for reset in (False, True):
            self._send(60, fills=True, reset=reset)
