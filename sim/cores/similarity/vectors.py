"""Vectors of similarity: queries of nits, answered by the score of every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ninefold.sim.golden.similarity import similarity
from ninefold.sim.levels.case import Case, Place, Record
from ninefold.sim.levels.script import Due
from ninefold.sim.levels.search import (
    SearchCore,
    computed,
    drawn_nits,
    score_rows,
    vector_words,
)
from ninefold.spec.formats import NIT_BITS

__all__ = ["SimilarityCase", "StoreCase", "case"]

#: Maximum number of rows loaded.
_ROWS = 64


def case(parameters: Mapping[str, Any], vectors: int, seed: int, steps: int) -> Case:
    """Return the case of the core: plain vectors, and a sequence of operations after them."""
    return SimilarityCase("similarity", parameters, seed).case(vectors, steps)


class StoreCase(SearchCore):
    """Case of a core with a store."""

    #: Streams of queries and answers.
    asks, answers = "query", "scores"
    #: Number of queries of one row that exceeds the core's capacity.
    full = 40

    def __init__(self, core: str, parameters: Mapping[str, Any], seed: int) -> None:
        super().__init__(core, parameters, seed)
        self._dimensions = parameters["dimensions"]
        # Nits per word, and words of a row or query.
        self._lanes = parameters.get("width", parameters["lanes"])
        self._beats = self._dimensions // self._lanes
        self.rows = drawn_nits(self.random, 0, self._dimensions)
        self._most = min(parameters["depth"], _ROWS)
        # No beat need move while a query is scored against all rows.
        self.patience = 10_000 + 4 * self._most * self._beats

    def _plain(self, vectors: int) -> None:
        self._load(self._most)
        self._ask(vectors)

    def _operations(self) -> Mapping[str, Callable[[], None]]:
        some = self.script.some
        return {
            "queries": lambda: self._ask(some(1, 5)),
            "many queries": lambda: self._ask(4 + 200 // len(self.rows), pause=0.3),
            "a full queue": lambda: self._ask(2 + 60 // self._most, blocked=True),
            "a load": self._load_and_ask,
            "a load while queries wait": lambda: self._load_behind(2 * self._beats),
            "loads within queries": self._load_within,
            "a load that is broken off by another": self._load_again,
            "more rows than the store has": self._load_past,
            "a reset within a load": lambda: self._reset("load"),
            "a reset within queries": lambda: self._reset(self.asks),
        }

    def _load_and_ask(self) -> None:
        self._load(self.script.some(1, self._most))
        self._ask(2)

    def _load_behind(self, words: int) -> None:
        """Load after `words` words of queries are accepted; those queries are scored against the earlier rows."""
        sent, due = self._queries(-(-words // self._beats))
        self.script.step({self.asks: sent[:words]}, {}, unfinished=True)
        load = self._drawn(self.script.some(1, self._most))
        inputs = {"load": load, self.asks: sent[words:]} if sent[words:] else {"load": load}
        # The load is offered before a partly accepted query is complete.
        self.script.step(inputs, {self.answers: due}, pause={"load": 0.0, self.asks: 0.9})
        self._ask(2)

    def _load_within(self) -> None:
        for _ in range(2):
            self._load_behind(self.script.some(1, max(1, self._beats - 1)))

    def _load_again(self) -> None:
        part = [dict(word) for word in self._drawn(self._most)[: self.script.some(1, self._beats * self._most - 1)]]
        part[-1]["last"] = 1
        self.script.step({"load": [*part, *self._drawn(self.script.some(1, self._most))]}, {})
        self._ask(2)

    def _load_past(self) -> None:
        self.script.step({"load": self._drawn(self._most + self.script.some(1, 3))}, {})
        self.rows = self.rows[: self.given["depth"]]
        self._ask(2)
        self._load_and_ask()

    def _reset(self, stream: str) -> None:
        sent = self._drawn(self._most) if stream == "load" else self._queries(3, lost=True)[0]
        self.script.step({stream: sent[: self.script.some(1, len(sent) - 1)]}, {}, broken_off=True)
        self._was_reset()
        self._load(self.script.some(1, self._most), reset=True)
        self._ask(3)

    def _fill(self) -> None:
        # With one row, each query gives one score.
        self._load(1)
        self._ask(100, pause=0.3)
        self._ask(self.full, fills=True)
        self._was_reset()
        self._load(1, reset=True)
        self._ask(self.full, fills=True)

    def _was_reset(self) -> None:
        """Restore the initial state except the rows."""

    def _load(self, rows: int, *, reset: bool = False) -> None:
        self.script.step({"load": self._drawn(rows)}, {}, reset=reset)

    def _ask(self, count: int, **how: Any) -> None:
        sent, due = self._queries(count)
        self.script.step({self.asks: sent}, {self.answers: due}, **how)

    def _drawn(self, rows: int) -> Sequence[Record]:
        """Draw rows; return the words that load them."""
        self.rows = drawn_nits(self.random, rows, self._dimensions)
        return vector_words(self.rows.reshape(-1), self._lanes, NIT_BITS, "nits")

    def _queries(self, count: int, *, lost: bool = False) -> tuple[Sequence[Record], Due]:
        raise NotImplementedError


class SimilarityCase(StoreCase):
    """Case with queries of nits, answered by the score of every row."""

    def _queries(self, count: int, *, lost: bool = False) -> tuple[Sequence[Record], Due]:
        queries, rows = drawn_nits(self.random, count, self._dimensions), self.rows
        sent = [word for query in queries for word in vector_words(query, self._lanes, NIT_BITS, "nits")]
        due: list[tuple[list[Place], Record]] = []
        if lost:
            return sent, due
        for line in similarity(queries, rows):
            places = self.places("similarity", "query", len(rows))
            due += [([p], row) for p, row in zip(places, score_rows(line.tolist(), range(len(rows))), strict=True)]

        def compute() -> list[Record]:
            values = computed("similarity", {"q": queries, "c": rows})["scores"].reshape(-1).tolist()
            return [{"score": value} for value in values]

        self.computed.append((compute, [place for (place,), _ in due]))
        return sent, due
