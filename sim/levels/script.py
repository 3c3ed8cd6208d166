"""Sequences for a core: random operations with their beats, pauses and resets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ninefold.sim.levels.case import Beats, Place, Reading, Record, Step, numbers, records
from ninefold.sim.verilated import Gaps, Stream

__all__ = ["PAUSES", "Due", "Script"]

#: Expected beats, each with the places of its values.
Due = Sequence[tuple[Sequence[Place], Record]]

#: Shares of cycles in which a stream pauses. Full speed is the most frequent.
PAUSES = (0.0, 0.0, 0.25, 0.5, 0.75)
#: Cycles without a beat after which an input is considered full.
_FULL = 40
#: Share of steps whose outputs are blocked until the core is full.
_BLOCKED = 0.2
#: Cycles between a step and the next one.
_RESTS = (0, 0, 0, 2, 60)
#: Pause of the plain vectors.
_PLAIN = 0.25


class Script:
    """Builder of the steps of a case.

    Parameters
    ----------
    streams : mapping of str to Stream
        The streams of the core.
    seed : int
        Seed of operations, values and pauses. A shorter sequence of the same seed is a prefix of a longer one.
    expand : callable
        Splits an output beat into the values of its places; by default a beat is one value.
    pauses : sequence of float
        Possible shares of cycles in which an output pauses.
    blocks : bool
        Whether outputs may be blocked until the core is full.

    Attributes
    ----------
    random : numpy.random.Generator
        Generator of operations and their values.
    number : int
        Operation that new steps belong to.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        seed: int,
        expand: Callable[[Record], Sequence[Record]] = lambda record: [record],
        pauses: Sequence[float] = PAUSES,
        *,
        blocks: bool = True,
    ) -> None:
        self.streams = streams
        self.random = np.random.default_rng([seed, 1])
        self.number = 0
        self._expand = expand
        self._pauses = pauses
        self._blocks = blocks
        self._steps: list[Step] = []
        self._operations = ["vectors"]
        self._places: dict[str, list[Sequence[Place]]] = {name: [] for name, s in streams.items() if not s.input}
        self._seed = seed

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps so far."""
        return tuple(self._steps)

    @property
    def operations(self) -> tuple[str, ...]:
        """Descriptions of the operations so far."""
        return tuple(self._operations)

    def play(
        self, count: int, operations: Mapping[str, Callable[[], None]], fill: Callable[[], None] | None = None
    ) -> None:
        """Add `count` operations: all kinds in random order, then all again in another order, and so on.

        At the end, `fill` adds steps that fill the core, one before and one after a reset. They reveal a lost place in
        a queue, even if no value was wrong.
        """
        order: list[str] = []
        for number in range(1, count + 1):
            order = order or [str(name) for name in self.random.permutation(list(operations))]
            self.number = number
            self._operations.append(order.pop())
            operations[self._operations[-1]]()
        if count and fill is not None:
            self._operations[-1] += ", then as many beats as after a reset"
            fill()

    def step(
        self,
        inputs: Mapping[str, Sequence[Record]],
        outputs: Mapping[str, Due],
        *,
        reset: bool = False,
        broken_off: bool = False,
        unfinished: bool = False,
        blocked: bool = False,
        fills: bool = False,
        pause: float | Mapping[str, float] | None = None,
        loose: Mapping[str, Sequence[bool]] | None = None,
    ) -> None:
        """Add a step.

        Parameters
        ----------
        inputs, outputs : mapping
            Beats of each stream.
        reset, broken_off : bool
            As in `Step`.
        unfinished : bool
            The answers come in the next step.
        blocked : bool
            Take no output before the core is full, regardless of the seed.
        fills : bool
            As in `Step`; it never pauses.
        pause : float or mapping of str to float, optional
            Share of cycles in which all streams, or the named ones, pause; drawn if not given.
        loose : mapping, optional
            As in `Step`.
        """
        for name, due in outputs.items():
            self._places[name] += [places for places, _ in due]
        self._steps.append(
            Step(
                {name: numbers(self.streams[name], [beats]) for name, beats in inputs.items()},
                {name: numbers(self.streams[name], [(row for _, row in due)]) for name, due in outputs.items()},
                self.number,
                self._gaps(0.0 if fills else pause),
                _FULL if blocked or (self.number and self._blocks and self.random.random() < _BLOCKED) else 0,
                fills,
                int(self.random.choice(_RESTS)) if self.number and not (unfinished or broken_off) else 0,
                reset,
                broken_off,
                {name: np.array(values, bool) for name, values in (loose or {}).items()},
            )
        )

    def some(self, low: int, high: int) -> int:
        """Return a random integer from `low` to `high` inclusive."""
        return int(self.random.integers(low, high, endpoint=True))

    def places(self, operator: str, vector: str, count: int) -> list[Place]:
        """Return the places of the `count` elements of an answer, within this operation."""
        return [Place(operator, vector, element, self.number) for element in range(count)]

    def read(self, out: Mapping[str, Beats]) -> Reading:
        """Return the values at all places that have beats."""
        found: dict[Place, Mapping[str, int | str]] = {}
        for name, beats in out.items():
            for group, record in zip(self._places[name], records(self.streams[name], beats), strict=False):
                found.update(zip(group, self._expand(record), strict=True))
        return found

    def _gaps(self, pause: float | Mapping[str, float] | None) -> dict[str, Gaps]:
        if not self.number:
            pause = _PLAIN
        if isinstance(pause, float):
            return dict.fromkeys(self.streams, Gaps(pause, self._seed))
        drawn = {
            name: Gaps(float(self.random.choice(PAUSES if stream.input else self._pauses)), self.some(0, 2**31))
            for name, stream in self.streams.items()
        }
        return drawn | {name: Gaps(chance, drawn[name].seed) for name, chance in (pause or {}).items()}
