"""What is compared: vectors as beats of streams, and what the golden model says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ninefold.sim.verilated import Gaps, Stream

__all__ = ["Beats", "Case", "Place", "Reading", "Record", "Step", "numbers", "records"]

Beats = npt.NDArray[np.uint8]
#: Fields of a beat by name.
Record = Mapping[str, int]


class Place(NamedTuple):
    """Position of a value: its operator, vector and element, and the operation of the sequence that asks for it."""

    operator: str
    vector: str
    element: int
    step: int = 0


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
    number : int
        The operation of the sequence that this step belongs to; 0 for the plain vectors before it.
    gaps : mapping of str to Gaps
        Pauses of each stream; one that is not named never pauses.
    blocked : int
        Take no output until no input has moved for this many cycles.
    fills : bool
        Take no output until the core takes no more input; the steps that do so must each take as many beats.
    rest : int
        Cycles that follow, in which nothing more may come.
    reset : bool
        Reset the core first.
    broken_off : bool
        The inputs need not all be taken, and what is under way at the end is lost: the next step resets.
    loose : mapping of str to array
        Bool for each beat of an output: its value depends on time, only its presence is compared.
    """

    inputs: Mapping[str, Beats]
    outputs: Mapping[str, Beats]
    number: int = 0
    gaps: Mapping[str, Gaps] = field(default_factory=dict)
    blocked: int = 0
    fills: bool = False
    rest: int = 0
    reset: bool = False
    broken_off: bool = False
    loose: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)


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
        Number of plain vectors.
    operations : tuple of str
        The operations of the sequence in words; the one at index 0 is the plain vectors.
    processor : callable or str
        Computes the reading on the processor, as far as it goes; or why that is not done.
    board : callable or str
        ``board(driver)`` computes the reading of the plain vectors on a board; or why that is not done.
    transport : callable or None
        ``transport(stream)`` sends the sequence to a board byte by byte, and returns the reading.
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
    transport: Callable[[Any], Reading] | None = None
    operations: tuple[str, ...] = ("vectors",)
    patience: int = 10_000
    refused: Mapping[str, str] = field(default_factory=dict)

    def expected(self) -> dict[str, Beats]:
        """Return the beats that must come of each output stream."""
        names = dict.fromkeys(name for step in self.steps for name in step.outputs)
        return {
            name: np.concatenate([step.outputs[name] for step in self.steps if name in step.outputs]) for name in names
        }

    def loose(self, name: str) -> npt.NDArray[np.bool_]:
        """Return for each beat of an output stream whether its value depends on time."""
        parts = [
            step.loose.get(name, np.zeros(len(step.outputs[name]), bool)) for step in self.steps if name in step.outputs
        ]
        return np.concatenate(parts)

    def step_of(self, name: str, beat: int) -> int:
        """Return the operation in which a beat of an output stream is due; the last one for any later beat."""
        due = 0
        for step in self.steps:
            due += len(step.outputs.get(name, ()))
            if beat < due:
                return step.number
        return self.steps[-1].number


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


def numbers(stream: Stream, groups: Iterable[Iterable[Record]]) -> Beats:
    """Return the beats of all records of all groups: the inverse of `records`."""
    rows = list(chain.from_iterable(groups))
    beats = np.zeros((len(rows), stream.beat_bytes), np.uint8)
    for beat, row in zip(beats, rows, strict=True):
        word = sum((row[part.name] & (1 << part.bits) - 1) << part.offset for part in stream.fields)
        beat[:] = np.frombuffer(word.to_bytes(stream.beat_bytes, "little"), np.uint8)
    return beats
