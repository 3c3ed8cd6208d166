"""Vectors of the threshold selection: queries, answered by their best rows in order of ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ninefold.sim.levels.case import Case, Record
from ninefold.sim.levels.script import Due
from ninefold.sim.levels.search import SearchCore, best, computed
from ninefold.spec.formats import K_MAX, coarse_bits

__all__ = ["case"]

#: Scores of a query's rows; None for a row that does not take part.
Rows = Sequence[int | None]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return _ThresholdCase("threshold_select", parameters, seed).case(vectors, steps)


class _ThresholdCase(SearchCore):
    """Case with queries of one parity, each scanned twice with a limit."""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._top, self._keep = 4 * parameters["dimensions"], parameters["keep"]
        self._rows, self._depth = parameters["rows"], parameters["depth"]
        # Queries whose selected rows fill the queue of words, which has 17 places.
        self._many = 4 + 20 * self._rows // min(self._depth, self._keep)
        # After a reset all counts are cleared.
        self.patience = 10_000 + 2 * self._top
        if self._keep > K_MAX:
            self.refused = f"the operator topk selects at most {K_MAX} rows, not {self._keep}"

    def _plain(self, vectors: int) -> None:
        self._send([self._drawn() for _ in range(vectors)])

    def _operations(self) -> Mapping[str, Callable[[], None]]:
        some = self.script.some
        full, many = self._depth, self._many
        return {
            "queries of any size": lambda: self._send([self._drawn() for _ in range(some(1, 5))]),
            "queries of one row": lambda: self._send([self._drawn(1) for _ in range(some(2, 6))]),
            "full scans without a pause": lambda: self._send([self._drawn(full) for _ in range(4)], pause=0.0),
            "equal rows": lambda: self._send([([self._score()] * full, some(1, self._keep)) for _ in range(3)]),
            "no rows between queries": lambda: self._send([self._drawn(), ([None] * full, 1), self._drawn()]),
            "selected rows that find no room": lambda: self._send(
                [([self._top] * full, self._keep)] * many, blocked=True
            ),
            "a reset within a query": self._reset,
        }

    def _fill(self) -> None:
        self._send([([self._top] * self._depth, self._keep)], pause=0.0)
        for reset in (False, True):
            self._send([([self._top] * self._depth, self._keep)] * self._many, fills=True, reset=reset)

    def _reset(self) -> None:
        scans = self._scans(self._drawn(self._depth)[0])
        self.script.step({"scores": scans[: self.script.some(1, len(scans) - 1)]}, {}, broken_off=True)
        self._send([([-self._top] * self._depth, 1), self._drawn()], reset=True)

    def _score(self) -> int:
        return 2 * int(self.script.some(0, self._top)) - int(self._top)

    def _drawn(self, size: int = 0) -> tuple[Rows, int]:
        """Return a query with ties, extremes and rows that take no part, and a limit."""
        size = size or int(self.random.choice([1, self._rows, self.script.some(1, self._depth), self._depth]))
        parity = self.script.some(0, 1)
        places = self.random.integers(0, self._top + 1 - parity, size)
        tied = self.script.some(0, self._top - parity)
        chosen = self.random.integers(0, 6, size)
        ends = {0: 0, 1: self._top - parity, 2: tied, 3: tied}
        absent = self.random.random(size) < self.random.choice([0.0, 0.0, 0.3, 1.0])
        rows = [
            None if none else 2 * ends.get(int(which), int(place)) - self._top + parity
            for none, which, place in zip(absent, chosen, places, strict=True)
        ]
        limit = int(self.random.choice([1, self.script.some(1, self._keep), self._keep]))
        return rows, limit

    def _scans(self, rows: Rows) -> list[Record]:
        """Return both scans of a query."""
        bits = coarse_bits(self._top // 4)
        words: list[Record] = []
        for start in range(0, len(rows), self._rows):
            given = rows[start : start + self._rows]
            scores = sum(((score or 0) & (1 << bits) - 1) << bits * i for i, score in enumerate(given))
            valid = sum((score is not None) << i for i, score in enumerate(given))
            last = int(start + self._rows >= len(rows))
            words.append({"scores": scores, "valid": valid, "word": start // self._rows, "last": last})
        return words * 2

    def _send(self, queries: Sequence[tuple[Rows, int]], **how: Any) -> None:
        scans: list[Record] = []
        due: Due = []
        for rows, limit in queries:
            scans += self._scans(rows)
            answer = _selected(rows, best(np.array([[s for s in rows if s is not None]], object), limit)[0])
            places = self.places("topk", "query", len(answer))
            due = [*due, *(([place], row) for place, row in zip(places, answer, strict=True))]
            self.computed.append((partial(_compute, rows, limit), places))
        limits = [{"rows": limit} for _, limit in queries]
        self.script.step({"scores": scans, "limit": limits}, {"results": due}, **how)


def _selected(rows: Rows, hits: Sequence[tuple[int, int]]) -> list[Record]:
    """Return results in order of ids from the places among the rows that take part."""
    ids = [i for i, score in enumerate(rows) if score is not None]
    found = sorted((ids[place], score) for place, score in hits)
    if not found:
        return [{"score": 0, "id": 0, "valid": 0, "last": 1}]
    return [{"score": s, "id": i, "valid": 1, "last": int(i == found[-1][0])} for i, s in found]


def _compute(rows: Rows, limit: int) -> list[Record]:
    """Compute the selection on the processor."""
    scores = np.array([[score for score in rows if score is not None]], np.int32)
    values = computed("topk", {"scores": scores, "ids": np.arange(scores.shape[1])}, k=limit)
    kept = int(values["count"][0])
    pairs = zip(values["ids"][0, :kept].tolist(), values["scores"][0, :kept].tolist(), strict=True)
    return _selected(rows, list(pairs))
