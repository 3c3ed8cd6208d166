"""Vectors of the quantiser: grid values, and thresholds written between and during vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim.golden.quantise import nits_by_thresholds
from ninefold.sim.levels.case import Case, Place, Record
from ninefold.sim.levels.script import Due
from ninefold.sim.levels.search import SearchCore, computed, drawn_threshold, grid_values, vector_words
from ninefold.spec.formats import GRID_FRACTION_BITS, NIT_BITS, THRESHOLDS

__all__ = ["QuantiserCase", "case"]

_Ints = npt.NDArray[np.integer[Any]]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return QuantiserCase("quantiser", parameters, seed).case(vectors, steps)


class QuantiserCase(SearchCore):
    """Case with grid values and with thresholds written between and during vectors."""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._lanes, self._mode = parameters["lanes"], parameters["mode"]
        self._initial = tuple(THRESHOLDS[self._mode].reached_at)
        self._thresholds = self._initial

    def _plain(self, vectors: int) -> None:
        self._send([int(n) for n in self.random.integers(1, 6, vectors)])

    def _operations(self) -> Mapping[str, Callable[[], None]]:
        some = self.script.some
        return {
            "vectors": lambda: self._send([some(1, 6) for _ in range(some(1, 5))]),
            "a full queue": lambda: self._send([some(8, 20), 1], blocked=True),
            "thresholds": self._write,
            "thresholds while words wait": self._write_behind,
            "a reset": self._reset,
        }

    def _write(self) -> None:
        self.script.step({"threshold": self._drawn()}, {})
        self._send([3, 1])

    def _write_behind(self) -> None:
        sent, due = self._words([self.script.some(1, 3)])
        self.script.step({"values": sent}, {}, unfinished=True)
        self.script.step({"threshold": self._drawn()}, {"nits": due})
        self._send([2])

    def _reset(self) -> None:
        self.script.step({"threshold": self._drawn()}, {})
        sent, _ = self._words([9], lost=True)
        self.script.step({"values": sent}, {}, broken_off=True)
        self._thresholds = self._initial
        self._send([1, 4], reset=True)

    def _drawn(self) -> list[Record]:
        """Draw new values for some of the thresholds."""
        thresholds = list(self._thresholds)
        writes: list[Record] = []
        for index in self.random.permutation(4)[: self.script.some(1, 4)].tolist():
            thresholds[index] = drawn_threshold(self.random)
            writes.append({"index": index, "value": thresholds[index]})
        self._thresholds = tuple(thresholds)
        return writes

    def _send(self, words: Sequence[int], **how: Any) -> None:
        sent, due = self._words(words)
        self.script.step({"values": sent}, {"nits": due}, **how)

    def _fill(self) -> None:
        self._send([60], pause=0.3)
        self._send([20], fills=True)
        self._thresholds = self._initial
        self._send([20], fills=True, reset=True)

    def _words(self, words: Sequence[int], *, lost: bool = False) -> tuple[list[Record], Due]:
        sent: list[Record] = []
        due: list[tuple[list[Place], Record]] = []
        for count in words:
            values = grid_values(self.random, (count * self._lanes,), self._thresholds)
            sent += vector_words(values, self._lanes, 16, "grid")
            if lost:
                continue
            places = self.places("quantise", "vector", len(values))
            came = vector_words(nits_by_thresholds(values, self._thresholds), self._lanes, NIT_BITS, "nits")
            due += [(places[n * self._lanes : (n + 1) * self._lanes], row) for n, row in enumerate(came)]
            if self._thresholds == self._initial:
                self.computed.append((partial(self._compute, values), places))
        return sent, due

    def _compute(self, values: _Ints) -> list[Record]:
        x = (values / 2**GRID_FRACTION_BITS).astype(np.float32)
        return [{"nit": nit} for nit in computed("quantise", {"x": x}, scale=1.0, mode=self._mode)["nits"].tolist()]

    def _expanded(self, record: Record) -> Sequence[Record]:
        """Return the nit of each lane."""
        return [{"nit": nit, "last": record["last"]} for nit in _lanes(record["nits"], self._lanes)]


def _lanes(word: int, lanes: int) -> list[int]:
    nibbles = [word >> NIT_BITS * lane & 15 for lane in range(lanes)]
    return [nibble - 16 if nibble & 8 else nibble for nibble in nibbles]
