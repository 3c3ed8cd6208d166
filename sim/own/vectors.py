"""Vectors of any core with a golden function, for the levels: payloads, bursts, pauses and resets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from ninefold.sim.levels.case import Beats, Case, Place, Reading, records
from ninefold.sim.levels.script import Due, Script
from ninefold.sim.own.contract import Batch, Contract, contract_of
from ninefold.sim.own.stimulus import draw

__all__ = ["OwnCase", "of"]

#: Largest burst of payloads.
_BURST = 24


def of(name: str) -> SimpleNamespace:
    """Return the part ``vectors`` of a core: its function ``case``."""

    def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
        return OwnCase(contract_of(name, parameters), seed).case(vectors, steps)

    return SimpleNamespace(case=case)


class OwnCase:
    """Builder of the case of a core.

    Parameters
    ----------
    contract : Contract
        The core.
    seed : int
        Seed of payloads, operations and pauses.
    """

    def __init__(self, contract: Contract, seed: int) -> None:
        self._contract = contract
        self._script = Script({channel.name: channel.stream for channel in contract.channels}, seed)
        self._history: dict[str, Batch] = {}
        self._left = dict.fromkeys((channel.name for channel in contract.outputs), 0)
        self._places: dict[str, list[Place]] = {channel.name: [] for channel in contract.outputs}

    def case(self, vectors: int, steps: int) -> Case:
        """Return the case: `vectors` payloads, then a sequence of `steps` operations."""
        some = self._script.some
        self._send(vectors)
        operations: dict[str, Callable[[], None]] = {
            "a burst": lambda: self._send(some(2, _BURST)),
            "one payload": lambda: self._send(1),
            "edge payloads": lambda: self._send(some(2, _BURST), edges=True),
        }
        if self._contract.resets:
            operations["a reset"] = lambda: self._send(some(1, _BURST), reset=True)
        self._script.play(steps, operations)
        return Case(
            self._contract.make,
            self._script.steps,
            self._read,
            vectors,
            processor="the golden function is the only one on the processor",
            operations=self._script.operations,
        )

    def _send(self, count: int, *, edges: bool = False, reset: bool = False) -> None:
        """Add a step with payloads and what the golden function then says in addition."""
        if reset:
            self._history, self._left = {}, dict.fromkeys(self._left, 0)
        drawn = draw(self._contract, self._script.random, count, edges=edges)
        self._history = {name: _joined(self._history.get(name), batch) for name, batch in drawn.items()}
        answers = self._contract.expected(self._history)
        inputs = {
            channel.name: records(channel.stream, channel.beats(drawn[channel.name]))
            for channel in self._contract.inputs
        }
        outputs: dict[str, Due] = {}
        for channel in self._contract.outputs:
            begin, end = self._left[channel.name], len(answers[channel.name])
            rows = records(channel.stream, channel.beats(answers[channel.name].part(begin, end)))
            places = [Place(channel.name, f"payload {begin + i}", i, self._script.number) for i in range(end - begin)]
            outputs[channel.name] = [([place], row) for place, row in zip(places, rows, strict=True)]
            self._places[channel.name] += places
            self._left[channel.name] = end
        self._script.step(inputs, outputs, reset=reset)

    def _read(self, out: Mapping[str, Beats]) -> Reading:
        found: dict[Place, Mapping[str, int | str]] = {}
        for channel in self._contract.outputs:
            beats = out.get(channel.name)
            if beats is None:
                continue
            batch = channel.batch(beats)
            arrays = dict(batch.columns) | ({} if batch.last is None else {"last": batch.last.astype(int)})
            for row, place in enumerate(self._places[channel.name][: len(beats)]):
                values = {name: array[row].tolist() for name, array in arrays.items()}
                found[place] = {name: one if isinstance(one, int) else str(one) for name, one in values.items()}
        return found


def _joined(before: Batch | None, after: Batch) -> Batch:
    if before is None:
        return after
    columns = {name: np.concatenate([before.columns[name], array]) for name, array in after.columns.items()}
    last = None if after.last is None else np.concatenate([np.asarray(before.last), after.last])
    return Batch(columns, last)
