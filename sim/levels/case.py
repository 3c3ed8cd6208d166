"""What is compared: vectors as beats of streams, and what the golden model says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ninefold.sim.verilated import Stream

__all__ = ["Beats", "Case", "Place", "Reading", "Step", "numbers", "records"]

Beats = npt.NDArray[np.uint8]


class Place(NamedTuple):
    """Where a value stands: the operator that computes it, the vector, and the element of its answer."""

    operator: str
    vector: str
    element: int


#: What a level answers: at each place its values by name.
Reading = Mapping[Place, Mapping[str, int | str]]


@dataclass(frozen=True)
class Step:
    """Streams that move together.

    Attributes
    ----------
    inputs : mapping of str to array
        Beats to send, as `Model.exchange` takes them.
    outputs : mapping of str to array
        The beats that must come, by the golden model.
    """

    inputs: Mapping[str, Beats]
    outputs: Mapping[str, Beats]


@dataclass(frozen=True)
class Case:
    """Vectors for one component.

    Attributes
    ----------
    component : callable
        Makes the component, whose members are all streams.
    steps : tuple of Step
        What is sent and what must come, one step after the other.
    read : callable
        Turns beats of the output streams, all steps together, into a reading. Where beats are missing or cannot be
        read, places are missing or hold a text.
    vectors : int
        How many there are.
    processor : callable or str
        Computes the reading on the processor, as far as it goes; or why that is not done.
    board : callable or str
        ``board(driver)`` computes the reading on a board; or why that is not done.
    patience : int
        Clock cycles that may pass without a beat.
    refused : mapping of str to str
        Families of devices for which there is no netlist to run, and why.
    """

    component: Callable[[], Any]
    steps: tuple[Step, ...]
    read: Callable[[Mapping[str, Beats]], Reading]
    vectors: int
    processor: Callable[[], Reading] | str
    board: Callable[[Any], Reading] | str
    patience: int = 10_000
    refused: Mapping[str, str] = field(default_factory=dict)

    def expected(self) -> dict[str, Beats]:
        """Return the beats that must come of each output stream."""
        names = dict.fromkeys(name for step in self.steps for name in step.outputs)
        return {
            name: np.concatenate([step.outputs[name] for step in self.steps if name in step.outputs]) for name in names
        }


def records(stream: Stream, beats: Beats) -> list[dict[str, int]]:
    """Return the fields of each beat as integers, sign extended where signed."""
    found = []
    for beat in beats:
        word = int.from_bytes(beat.tobytes(), "little")
        values = {}
        for part in stream.fields:
            value = word >> part.offset & (1 << part.bits) - 1
            values[part.name] = value - (1 << part.bits) if part.signed and value >> (part.bits - 1) else value
        found.append(values)
    return found


def numbers(stream: Stream, groups: Iterable[Iterable[Mapping[str, int]]]) -> Beats:
    """Return the beats of all records of all groups: the inverse of `records`."""
    rows = list(chain.from_iterable(groups))
    beats = np.zeros((len(rows), stream.beat_bytes), np.uint8)
    for beat, row in zip(beats, rows, strict=True):
        word = sum((row[part.name] & (1 << part.bits) - 1) << part.offset for part in stream.fields)
        beat[:] = np.frombuffer(word.to_bytes(stream.beat_bytes, "little"), np.uint8)
    return beats
