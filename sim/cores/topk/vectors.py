"""Vectors of top-k: batches of scores, answered by the k best of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ninefold.sim.levels.case import Case, Place, Record
from ninefold.sim.levels.script import Due
from ninefold.sim.levels.search import SearchCore, best, computed, score_rows

__all__ = ["TopKCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return TopKCase("topk", parameters, seed).case(vectors, steps)


class TopKCase(SearchCore):
    """Case with batches of scores, answered by the k best of each."""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._k, width, signed = parameters["k"], parameters["score_width"], parameters.get("signed", True)
        self._low = -(1 << (width - 1)) if signed else 0
        self._high = self._low + (1 << width) - 1
        if self._low < -(2**31) or self._high >= 2**31:
            unsigned = "" if signed else ", unsigned"
            self.refused = f"the operator topk takes signed scores of 32 bits, not {width}{unsigned}"

    def _plain(self, vectors: int) -> None:
        k = self._k
        self._send(self.random.choice([1, max(1, k - 1), k, k + 1, 2 * k + 3], vectors).tolist())

    def _operations(self) -> Mapping[str, Callable[[], None]]:
        k, some = self._k, self.script.some
        return {
            "batches of any size": lambda: self._send([some(1, 2 * k + 3) for _ in range(some(1, 6))]),
            "batches of one score": lambda: self._send([1] * some(2, 24)),
            "many batches without a pause": lambda: self._send([k] * (12 + 120 // k), pause=0.0),
            "long batches behind short ones": lambda: self._send([1, 3 * k + 5, 2, 4 * k + some(0, 9), k]),
            # More results than the queue holds: each of its links has 17 places.
            "a full queue": lambda: self._send([k + some(0, 1)] * (4 + 60 // k), blocked=True),
            "a reset within a batch": self._reset,
        }

    def _send(self, sizes: Sequence[int], **how: Any) -> None:
        sent, due = self._batches(sizes)
        self.script.step({"scores": sent}, {"results": due}, **how)

    def _fill(self) -> None:
        self._send([self._k] * (12 + 120 // self._k), pause=0.0)
        for reset in (False, True):
            self._send([self._k] * (4 + 60 // self._k), fills=True, reset=reset)

    def _reset(self) -> None:
        sent, _ = self._batches([self.script.some(1, 2 * self._k), 2 * self._k + 3], lost=True)
        # The last batch stays open.
        self.script.step({"scores": sent[: -self.script.some(1, self._k + 2)]}, {}, broken_off=True)
        self._send([self._k + 2, 1, self._k], reset=True)

    def _batches(self, sizes: Sequence[int], *, lost: bool = False) -> tuple[list[Record], Due]:
        """Return the scores of batches and their results; lost batches have no results."""
        sent: list[Record] = []
        due: list[tuple[list[Place], Record]] = []
        for size in sizes:
            batch = _scores(self.random, size, self._low, self._high)
            ids = self.random.integers(0, 1 << min(self.given["id_width"], 62), size).tolist()
            sent += score_rows(batch, ids)
            if lost:
                continue
            hits = best(np.array([batch], object), self._k)[0]
            came = score_rows([score for _, score in hits], [ids[i] for i, _ in hits])
            places = self.places("topk", "batch", len(hits))
            due += [([place], row) for place, row in zip(places, came, strict=True)]
            self.computed.append((partial(self._compute, batch, ids), places))
        return sent, due

    def _compute(self, batch: Sequence[int], ids: Sequence[int]) -> list[Record]:
        arguments = {"scores": np.array([batch], np.int32), "ids": np.array(ids, np.int64)}
        values = computed("topk", arguments, k=self._k)
        kept = int(values["count"][0])
        pairs = zip(values["scores"][0, :kept].tolist(), values["ids"][0, :kept].tolist(), strict=True)
        return [{"score": score, "id": i} for score, i in pairs]


def _scores(random: np.random.Generator, size: int, low: int, high: int) -> list[int]:
    """Return random scores with ties and extremes."""
    dtype = np.int64 if low < 0 else np.uint64
    tied = int(random.integers(low, high, endpoint=True, dtype=dtype))
    any_ = random.integers(low, high, size, endpoint=True, dtype=dtype).tolist()
    chosen = random.integers(0, 6, size)
    return [{0: low, 1: high, 2: tied}.get(int(which), score) for which, score in zip(chosen, any_, strict=True)]
