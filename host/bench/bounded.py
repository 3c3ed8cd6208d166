"""A bounded index that is asked again and again: what it still holds, beside the least recently used entries.

Run with ``ninefold bench bounded``. Vectors arrive in batches. After each batch, questions ask for entries that have
arrived, few of them often and most of them rarely (a Zipf distribution over the entries in random order). What a store
has evicted does not come back. A question that was asked before counts as found if its entry is still held.
"""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.host.index import Index, build
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.progress import step

from .data import base, dataset
from .limits import limited

__all__ = ["PLANS", "Plan", "bounded", "questions"]

_CASE: Final = "bounded"
_SEED: Final = 9
#: Exponent of the popularity of entries: the n-th most popular is asked for as 1/n.
_EXPONENT: Final = 1.0
#: Entries of a store for each of its places.
_ENTRIES_PER_PLACE: Final = 4
#: Hits of a search; only the best one is a use.
_K: Final = 10
_LRU: Final = "least recently used"
_FIFO: Final = "first in, first out"


@dataclass(frozen=True)
class Plan:
    """Sizes of the stream.

    Attributes
    ----------
    entries : int
        Entries that arrive; a quarter of them has places.
    batch : int
        Entries that arrive together, and questions after them.
    """

    entries: int
    batch: int


PLANS: Final[Mapping[Size, Plan]] = {"tiny": Plan(400, 20), "small": Plan(20_000, 200), "large": Plan(200_000, 1000)}


@dataclass
class _Kept:
    """Entries that a simple policy keeps: the newest ones, or the last used ones.

    Attributes
    ----------
    places : int
    by_use : bool
        A question for an entry makes it the newest.
    """

    places: int
    by_use: bool
    _order: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def add(self, entries: range) -> None:
        """Add entries, and drop the oldest ones beyond the places."""
        self._order.update(dict.fromkeys(entries))
        while len(self._order) > self.places:
            self._order.popitem(last=False)

    def ask(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which entries are held."""
        found = [one in self._order for one in wanted.tolist()]
        for one, there in zip(wanted.tolist(), found, strict=True):
            if self.by_use and there:
                self._order.move_to_end(one)
        return np.array(found, np.bool_)


class _Ours:
    """Index with a bound, asked by searches."""

    def __init__(self, folder: Path, vectors: npt.NDArray[np.float32], first: int, places: int) -> None:
        source = folder / "rows.npy"
        np.save(source, vectors[:first])
        build(str(source), str(folder / "index"), max_entries=places)
        self._vectors = vectors
        self._index, self._scheduler = Index.open(str(folder / "index"), "w"), Scheduler()

    def add(self, entries: range) -> None:
        """Add entries."""
        new = [Entry(str(one), f"row {one}", "") for one in entries]
        self._index.upsert(new, self._vectors[entries.start : entries.stop])

    def ask(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Search for the vectors of entries; return which ones are held."""
        queries = [self._vectors[one] for one in wanted.tolist()]
        self._index.search(queries, _K, rerank=4, device="cpu", scheduler=self._scheduler)
        with self._index.snapshot() as snapshot:
            return np.array([snapshot.get(str(one)) is not None for one in wanted.tolist()], np.bool_)

    def __len__(self) -> int:
        return len(self._index)

    def close(self) -> None:
        self._scheduler.close()
        self._index.close()


def questions(entries: int, batch: int, seed: int = _SEED) -> Iterator[tuple[range, npt.NDArray[np.int64]]]:
    """Yield the entries that arrive together, and the entries that are asked for after them.

    Parameters
    ----------
    entries, batch : int
        Number of all entries, and of those that arrive together.
    seed : int
        Seed of popularities and questions.
    """
    random = np.random.default_rng(seed)
    popularity = random.permutation(1 / np.arange(1, entries + 1) ** _EXPONENT)
    for first in range(0, entries, batch):
        last = min(first + batch, entries)
        share = np.cumsum(popularity[:last])
        yield range(first, last), np.searchsorted(share, random.random(batch) * share[-1], side="right")


def _measure(request: Request) -> list[Figure]:
    plan = PLANS[request.size]
    whole = base(request, 0)
    data = dataset(whole, min(plan.entries, len(whole.vectors)) if request.data else plan.entries)
    entries = len(data.vectors)
    if entries < plan.entries:
        request.note(f"bounded: {entries:,} entries instead of {plan.entries:,}, as {data.name} holds no more")
    places = entries // _ENTRIES_PER_PLACE
    found: dict[str, list[npt.NDArray[np.bool_]]] = {}
    again: list[npt.NDArray[np.bool_]] = []
    asked = np.zeros(entries, np.bool_)
    with limited(request), tempfile.TemporaryDirectory(prefix="ninefold-bounded-") as folder:
        ours = _Ours(Path(folder), data.vectors, plan.batch, places)
        stores: dict[str, _Ours | _Kept] = {"cpu": ours, _LRU: _Kept(places, True), _FIFO: _Kept(places, False)}
        try:
            with step("asking a bounded index", entries) as stream:
                for arriving, wanted in questions(entries, plan.batch):
                    again.append(_asked_before(asked, wanted))
                    for name, store in stores.items():
                        if name != "cpu" or arriving.start:  # the index was built with its first entries
                            store.add(arriving)
                        found.setdefault(name, []).append(store.ask(wanted))
                    stream.at(arriving.stop, entries)
            if len(ours) > places:
                raise AssertionError(f"{len(ours)} entries in {places} places")
        finally:
            ours.close()
    repeated = np.concatenate(again)
    recalls = {name: float(np.concatenate(one)[repeated].mean()) for name, one in found.items()}
    parameters: dict[str, Parameter] = {"entries": entries, "places": places, "data": data.name}
    return [*_figures(recalls, parameters, int(repeated.sum()))]


def _asked_before(asked: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which questions were asked before, also in the same batch, and mark all as asked."""
    first = np.zeros(len(wanted), np.bool_)
    first[np.unique(wanted, return_index=True)[1]] = True
    before = asked[wanted] | ~first
    asked[wanted] = True
    return before


def _figures(recalls: Mapping[str, float], parameters: Mapping[str, Parameter], asked: int) -> Iterator[Figure]:
    quantity = "recall of what was asked before"
    for name, recall in recalls.items():
        ours = name == "cpu"
        yield Figure(
            _CASE,
            name,
            quantity,
            recall,
            "",
            parameters,
            kind="exact",
            better="more" if ours else "",
            beside=_LRU if ours else "",
            ratio=recall / recalls[_LRU] if ours and recalls[_LRU] else None,
            target=">= 1" if ours else "",
            detail=f"{asked:,} questions; entry n is asked for as 1/n",
            task=quantity if ours else "",
        )


#: Suite of the bounded index.
bounded = Benchmark(_measure, backends=("cpu",))
