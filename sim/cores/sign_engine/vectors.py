"""Vectors of the sign engine: queries of nits, answered by the coarse score of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ninefold.sim.cores.similarity.vectors import StoreCase
from ninefold.sim.golden.mine import coarse_score
from ninefold.sim.golden.packed import pack
from ninefold.sim.levels.case import Case, Place, Record
from ninefold.sim.levels.script import Due
from ninefold.sim.levels.search import computed, drawn_nits, vector_words
from ninefold.sim.testbench.fields import join, signed, split
from ninefold.spec.data import Database
from ninefold.spec.formats import NIT_BITS, coarse_bits

__all__ = ["SignEngineCase", "case"]


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return SignEngineCase("sign_engine", parameters, seed).case(vectors, steps)


class SignEngineCase(StoreCase):
    """Case with queries of nits, answered by words with the scores of several rows, once for each pass."""

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._together = max(1, parameters["lanes"] // self._dimensions)
        self._passes: int = parameters["passes"]
        self._bits = coarse_bits(self._dimensions)

    def _queries(self, count: int, *, lost: bool = False) -> tuple[Sequence[Record], Due]:
        queries, rows = drawn_nits(self.random, count, self._dimensions), self.rows
        sent = [word for query in queries for word in vector_words(query, self._lanes, NIT_BITS, "nits")]
        due: list[tuple[list[Place], Record]] = []
        if lost:
            return sent, due
        for query in queries:
            scores = [coarse_score(query, row) for row in rows]
            parts = [scores[start : start + self._together] for start in range(0, len(scores), self._together)]
            places = self.places("candidates", "query", self._passes * len(parts) * self._together)
            for n in range(self._passes * len(parts)):
                word = n % len(parts)
                record = {
                    "scores": join((score, self._bits) for score in parts[word]),
                    "valid": (1 << len(parts[word])) - 1,
                    "word": word,
                    "last": int(word == len(parts) - 1),
                }
                due.append((places[n * self._together : (n + 1) * self._together], record))
            # A final word has places for more rows than there are.
            per_pass = len(parts) * self._together
            placed = [places[turn * per_pass + row] for turn in range(self._passes) for row in range(len(rows))]
            self.computed.append((partial(self._compute, query, rows), placed))
        return sent, due

    def _compute(self, query: Any, rows: Any) -> list[Record]:
        """Return the scores of all rows on the processor, which ranks them."""
        attributes = {"rows": len(rows), "dimensions": self._dimensions, "scale": 1.0, "mode": "linear"}
        # In linear mode with a scale of 1, a nit is quantised to itself.
        arguments = {"q": query[None].astype(np.float32), "database": Database({"nits": pack(rows)}, attributes)}
        values = computed("candidates", arguments, keep=len(rows))
        scores = np.empty(len(rows), np.int64)
        scores[values["ids"][0]] = values["scores"][0]
        found: list[Record] = [{"score": int(score)} for score in scores]
        return found * self._passes

    def _expanded(self, record: Record) -> Sequence[Record]:
        """Return the score of each row of a word."""
        return [
            {"score": signed(score, self._bits), "valid": record["valid"] >> i & 1, "last": record["last"]}
            for i, score in enumerate(split(record["scores"], [self._bits] * self._together))
        ]
