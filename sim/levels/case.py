"""Cases of a comparison: vectors as beats of streams, with the answers of the golden model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ninefold.drivers.boards import open_board
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


#: Answer of a level: the values at each place, by name.
Reading = Mapping[Place, Mapping[str, int | str]]


@dataclass(frozen=True)
class Step:
    """One step of a case: beats of several streams at the same time.

    Attributes
    ----------
    inputs : mapping of str to array
        Beats to send, as `Model.exchange` takes them.
    outputs : mapping of str to array
        Beats that the golden model expects.
    number : int
        Operation of the sequence that this step belongs to; 0 for the plain vectors before the sequence.
    gaps : mapping of str to Gaps
        Pauses of each stream; a stream that is not named never pauses.
    blocked : int
        Number of cycles without an input beat before any output is taken.
    fills : bool
        Take no output until the core takes no more input. All such steps must accept the same number of beats.
    rest : int
        Cycles after the step in which no further beat may come.
    reset : bool
        Reset the core first.
    broken_off : bool
        Abort the step: not all inputs need be taken, and beats in flight at the end are lost. The next step resets.
    loose : mapping of str to array
        Bool for each beat of an output; true if its value depends on time, so only its presence is compared.
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
        Constructor of the component, whose members are all streams.
    steps : tuple of Step
        Inputs and expected outputs, step by step.
    read : callable
        Converts the beats of the output streams, of all steps together, to a reading. If beats are missing or
        invalid, their places are missing or hold a text.
    vectors : int
        Number of plain vectors.
    operations : tuple of str
        Descriptions of the sequence's operations; index 0 is the plain vectors.
    processor : callable or str
        Computes the reading on the processor, which may be partial; or the reason why it is not computed.
    board : callable or str or None
        ``board(driver)`` computes the reading of the plain vectors on a board; or the reason why it does not run. None
        for a core, which gets a board of its own from `ninefold.sim.levels.cases.case_of`.
    transport : callable or None
        ``transport(stream)`` sends the sequence to a board as bytes and returns the reading.
    opens : callable
        ``opens(place)`` opens the board at a URL, or simulates one of that name, and returns its driver.
    answers_all : bool
        The reading of a board has all plain vectors; otherwise it may be partial.
    patience : int
        Maximum number of clock cycles without a beat.
    refused : mapping of str to str
        Reason for each device family that has no netlist to run.
    """

    component: Callable[[], Any]
    steps: tuple[Step, ...]
    read: Callable[[Mapping[str, Beats]], Reading]
    vectors: int
    processor: Callable[[], Reading] | str
    board: Callable[[Any], Reading] | str | None = None
    transport: Callable[[Any], Reading] | None = None
    opens: Callable[[str], Any] = open_board
    answers_all: bool = False
    operations: tuple[str, ...] = ("vectors",)
    patience: int = 10_000
    refused: Mapping[str, str] = field(default_factory=dict)

    def expected(self) -> dict[str, Beats]:
        """Return the expected beats of each output stream."""
        names = dict.fromkeys(name for step in self.steps for name in step.outputs)
        return {
            name: np.concatenate([step.outputs[name] for step in self.steps if name in step.outputs]) for name in names
        }

    def loose(self, name: str) -> npt.NDArray[np.bool_]:
        """Return a bool for each beat of an output stream: true if its value depends on time."""
        parts = [
            step.loose.get(name, np.zeros(len(step.outputs[name]), bool)) for step in self.steps if name in step.outputs
        ]
        return np.concatenate(parts)

    def step_of(self, name: str, beat: int) -> int:
        """Return the operation in which a beat of an output stream is due; the last operation for any later beat."""
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
