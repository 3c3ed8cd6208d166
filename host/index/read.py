"""Reading and searching one version of an index."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict, TypeVar, Unpack, overload

import numpy as np
import numpy.typing as npt

from ninefold.host.scheduler import AUTO, Scheduler
from ninefold.host.sources import Entry
from ninefold.host.sources.vectors import check_rows
from ninefold.host.tiers.routing import Route
from ninefold.numerics.quantise import quantise
from ninefold.numerics.resonance import unit_vectors
from ninefold.spec.data import Database, Result
from ninefold.spec.errors import InputError

from .bounded import NEAR
from .embedding import check_model, embed_query
from .filters import Filter, parse
from .manifest import Manifest
from .parts import Parts
from .settings import Setting, chosen
from .tables import Generation

__all__ = ["Asked", "Hit", "Hits", "Query", "Records", "SearchOptions", "Snapshot"]

#: Query of an index: a text, the number of a row, or a vector.
Query = str | int | npt.NDArray[Any]
_Query = TypeVar("_Query", bound=Query)


class SearchOptions(TypedDict, total=False):
    """Options of `Index.search`, which describes them."""

    rerank: int | None
    threshold: str | None
    recall: float | None
    scan: str | None
    oversample: int | None
    macro: int | None
    micro: int | None
    where: str | None
    device: str
    strict: bool
    scheduler: Scheduler | None


@dataclass(frozen=True)
class Hit:
    """Entry found by a search.

    Attributes
    ----------
    row : int
        Row of the entry in the snapshot that was searched; another snapshot may count otherwise.
    score : int or float
        Integer dot product of nits. After reranking, dot product of the float vectors; for vectors of length 1, such as
        the embeddings of texts, this is their cosine. Of context vectors, their similarity, 0 to 1.
    entry : Entry
        Id, title and text.
    """

    row: int
    score: float
    entry: Entry

    @property
    def id(self) -> str:
        """Id of the entry, which stays the same."""
        return self.entry.id


@dataclass(frozen=True)
class Hits:
    """Hits of a search, best first.

    Attributes
    ----------
    hits : tuple of Hit
    result : Result
        Device that answered, its path, the reason for the choice, and metrics: ``seconds``, and ``cycles`` for
        simulated hardware.
    embed_seconds : float
        Time to embed the query, including the start of the model; 0 for a query that is a vector.
    embedded : Result or None
        Result of the task that embedded the query; None for a query that is a vector.
    setting : Setting or None
        Setting that was chosen for a recall.
    scanned : int or None
        Number of entries whose fields were read for a filter, 0 if columns decided it; None without a filter.
    route : Route or None
        Route of the query through tiers; None for a search without ``route``.
    contexts : bool
        True if the scores are similarities of context vectors.
    """

    hits: tuple[Hit, ...]
    result: Result
    embed_seconds: float
    embedded: Result | None = None
    setting: Setting | None = None
    scanned: int | None = None
    route: Route | None = None
    contexts: bool = False

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Devices that failed, as in `Result`, at embedding and at searching."""
        return (self.embedded.fallbacks if self.embedded is not None else ()) + self.result.fallbacks

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True)
class Asked:
    """Vector of a query; for a text, the result of the task that embedded it, and the time it took."""

    vector: npt.NDArray[np.float32]
    embedded: Result | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Records:
    """Access to the entries of one version.

    Attributes
    ----------
    entry : callable
        ``entry(sequence)`` gives the entry with a sequence number.
    sequence : callable
        ``sequence(id)`` gives the sequence number of an id, or None.
    entries : callable
        ``entries()`` yields all entries in the order of their sequence numbers.
    end : callable
        Ends the access.
    copy : callable
        ``copy(path)`` writes the tables to a new file.
    redirects : callable
        ``redirects()`` yields the ids of merged entries, each with the id of the entry that was kept.
    kept : callable
        ``kept(entry)`` gives the id of the entry into which an entry of the same content was merged, or None.
    use : callable, optional
        ``use(sequence, resonance, density)`` tells the writer which entries a search found; None without a bound.
    """

    entry: Callable[[int], Entry]
    sequence: Callable[[str], int | None]
    entries: Callable[[], Iterator[Entry]]
    end: Callable[[], None]
    copy: Callable[[Path], None]
    redirects: Callable[[], Iterator[tuple[str, str]]] = lambda: iter(())
    kept: Callable[[Entry], str | None] = lambda _: None
    use: Callable[[Sequence[int], npt.NDArray[np.float32], npt.NDArray[np.float32]], None] | None = None


class Snapshot:
    """One version of an index, whatever is written meanwhile; close it when it is no longer needed.

    Parameters
    ----------
    manifest : Manifest
    generation : Generation
    parts : Parts
        Rows of the version.
    records : Records
        Their entries.
    called : str
        Name in errors and reports.
    """

    def __init__(self, manifest: Manifest, generation: Generation, parts: Parts, records: Records, called: str) -> None:
        self.manifest, self.generation, self.parts, self.called = manifest, generation, parts, called
        self._records = records
        # A snapshot that no one closes ends when it is no longer referred to.
        self._end = weakref.finalize(self, records.end)
        self._taken = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the snapshot, so that the space of what it alone can see is free for new content."""
        self._end()

    def copy_tables(self, path: Path) -> None:
        """Write the tables of the version to a new file, which only its owner may read; see `Environment.copy`."""
        self._records.copy(path)

    @property
    def age_s(self) -> float:
        """Time since the snapshot was taken, in seconds."""
        return time.monotonic() - self._taken

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Entry]:
        return self._records.entries()

    @property
    def database(self) -> Database:
        """One `Database` of all live rows in sequence order; copied into memory unless one segment holds them all."""
        return self.parts.database

    @property
    def vectors(self) -> npt.NDArray[np.float16]:
        """Float vectors, float16 (rows, dimensions); raises `InputError` if the index has none."""
        self.require_vectors()
        return self.parts.vectors

    def require_vectors(self) -> None:
        """Raise `InputError` if the index has no float vectors."""
        if not self.manifest.vectors:
            raise InputError(f"{self.called} has no float vectors, which this needs; rebuild it without --no-vectors")

    def redirects(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of entries that were merged as near duplicates, each with the id of the entry that was kept."""
        return self._records.redirects()

    def kept(self, entry: Entry) -> str | None:
        """Return the id of the entry into which this one, with this content, was merged; None if it was not."""
        return self._records.kept(entry)

    def get(self, name: str) -> Entry | None:
        """Return the entry with an id, or None; of a merged entry, the one that was kept."""
        sequence = self._records.sequence(name)
        return None if sequence is None else self._records.entry(sequence)

    def entry(self, row: int) -> Entry:
        """Return the entry of a row.

        Raises
        ------
        InputError
            If there is no such row.
        DamagedDataError
            If the row does not hold an entry.
        """
        if not 0 <= row < len(self):
            raise InputError(f"row must be 0 to {len(self) - 1}, not {row}")
        part, inside = self.parts.place(row)
        return self._records.entry(int(part.sequence[inside]))

    @overload
    def search(self, query: Query, k: int = 10, **options: Unpack[SearchOptions]) -> Hits: ...

    @overload
    def search(self, query: list[_Query], k: int = 10, **options: Unpack[SearchOptions]) -> list[Hits]: ...

    def search(self, query: Query | list[_Query], k: int = 10, **options: Unpack[SearchOptions]) -> Hits | list[Hits]:
        """Find the entries nearest to a query, or to each query of a list.

        Parameters
        ----------
        query : str, int or float array of shape (D,) or (1, D), or list of these
            Text, row number or vector. A list is searched by one task.
        k : int
            Number of hits, 1 to 256.
        rerank : int, optional
            Rescore the best rerank * k hits by dot products of the float vectors; rerank * k is at most 256.
        threshold : {None, 'adaptive'}
            Drop hits whose scores are near the mean of all scores.
        recall : float, optional
            Instead of `rerank`, `scan`, `oversample`, `macro` and `micro`, choose the cheapest setting that reached
            this recall when the index was built.
        scan : {'nits', 'signs'}, optional
            Score all rows by nits (default), or only the best by the signs of their nits.
        oversample : int, optional
            The scan of signs keeps oversample * rerank * k rows, 1 to 64; 32 by default.
        macro, micro : int, optional
            Search only the best `micro` of the 16 lists of each of the best `macro` clusters, 1 to 64 of them; both or
            neither. Only an index with clusters has them.
        where : str, optional
            Condition on the fields of entries, as `ninefold.host.index.filters` describes it. The hits are the best of
            the entries that meet it.
        device : str
            ``"auto"`` or a device for the search, ``backend[:instance]``. A text is embedded on the CPU.
        strict : bool
            Fail instead of searching on another device.
        scheduler : Scheduler, optional
            Scheduler that keeps devices open between searches; by default a new one for this search.

        Returns
        -------
        Hits or list of Hits
            A list for a list of queries, in their order.

        Raises
        ------
        InputError
            For an invalid query or option.
        """
        if unknown := next((name for name in options if name not in SearchOptions.__annotations__), None):
            raise TypeError(f"search() got an unexpected keyword argument {unknown!r}")
        many = query if isinstance(query, list) else [query]
        if (scheduler := options.get("scheduler")) is not None:
            found = self._found(many, k, scheduler, options)
        else:
            with Scheduler() as own:
                found = self._found(many, k, own, options)
        return found if isinstance(query, list) else found[0]

    def _found(self, queries: Sequence[Query], k: int, scheduler: Scheduler, options: SearchOptions) -> list[Hits]:
        """Search for queries by one task."""
        stages, setting = self._stages(k, options)
        device, strict = options.get("device", AUTO), options.get("strict", False)
        # Refuse invalid options, devices and filters before the model starts.
        condition = None if (where := options.get("where")) is None else parse(where)
        nothing = np.zeros((0, self.manifest.dimensions), np.float32)
        scheduler.check_task(self.parts.task(nothing, stages, device=device, strict=strict))
        if stages.get("rerank"):
            self.require_vectors()
        asked = [self.asked(one, scheduler) for one in queries]
        if not asked:
            return []
        allowed = scanned = None
        if condition is not None:
            allowed, scanned = self.allowed(condition), self.scanned(condition)
        vectors = np.stack([one.vector for one in asked])
        result = self.mine(vectors, scheduler=scheduler, device=device, strict=strict, allowed=allowed, **stages)
        found = [
            Hits(self.hits(result, number), result, one.seconds, one.embedded, setting, scanned)
            for number, one in enumerate(asked)
        ]
        self.note_uses(vectors, found)
        return found

    def note_uses(self, vectors: npt.NDArray[np.float32], found: Sequence[Hits]) -> None:
        """Tell the writer of a bounded index which entries answered: the best hit of each query.

        The other hits are there because ``k`` was asked for. If they were uses, a few queries would fill the bound with
        neighbours of what was wanted. Other indexes have no need of it.
        """
        use = self._records.use
        if use is None:
            return
        sequence: list[int] = []
        resonance: list[float] = []
        density: list[int] = []
        for vector, hits in zip(vectors, found, strict=True):
            rows = np.array([hit.row for hit in hits], np.int64)
            if not len(rows):
                continue
            part, inside = self.parts.place(int(rows[0]))
            sequence.append(int(part.sequence[inside]))
            units = unit_vectors(np.vstack([vector, self.parts.floats(rows)]))
            resonance.append(float(np.clip(units[1] @ units[0], 0, 1)))
            density.append(int(np.count_nonzero((units[2:] @ units[1]) ** 2 >= NEAR)))
        use(sequence, np.array(resonance, np.float32), np.array(density, np.float32))

    def _stages(self, k: int, options: SearchOptions) -> tuple[dict[str, Any], Setting | None]:
        """Return the options of ``mine`` that a search asks for, and the setting that was chosen for a recall."""
        given = {name: options.get(name) for name in ("rerank", "scan", "oversample", "macro", "micro")}
        stages: dict[str, Any] = {"k": k, "threshold": options.get("threshold")}
        stages |= {name: value for name, value in given.items() if value is not None}
        if (recall := options.get("recall")) is not None:
            if name := next((name for name, value in given.items() if value is not None), None):
                raise InputError(f"recall chooses {name} itself: leave out {name} {given[name]}")
            setting = chosen(self.generation.settings, recall)
            return stages | setting.options, setting
        if given["oversample"] is not None and given["scan"] != "signs":
            oversample = given["oversample"]
            raise InputError(
                f'oversample is of the scan of signs: give scan "signs", or leave out oversample {oversample}'
            )
        return stages, None

    def allowed(self, condition: Filter) -> npt.NDArray[np.uint8]:
        """Return the rows whose entries meet a condition, as a mask of bits that ``mine`` takes.

        A condition on declared fields only is decided by their columns, any other by the fields of all entries.
        """
        if self._has_columns(condition):
            return self.parts.meeting(condition)
        meets = np.fromiter((condition.matches(entry.fields) for entry in self), np.bool_, len(self))
        return np.packbits(meets, bitorder="little")

    def scanned(self, condition: Filter) -> int:
        """Return the number of entries whose fields `allowed` reads; 0 if columns decide."""
        return 0 if self._has_columns(condition) else len(self)

    def _has_columns(self, condition: Filter) -> bool:
        return condition.names <= self.manifest.fields.keys()

    def hits(self, result: Result, query: int) -> tuple[Hit, ...]:
        """Return the hits of one query of a result of `mine`, best first."""
        values = result.values
        found = range(int(values["count"][query]))
        rows = [(int(values["ids"][query, i]), values["scores"][query, i].item()) for i in found]
        return tuple(Hit(row, score, self.entry(row)) for row, score in rows)

    def mine(
        self,
        q: npt.NDArray[np.float32],
        *,
        device: str = "auto",
        strict: bool = False,
        scheduler: Scheduler | None = None,
        allowed: npt.NDArray[np.uint8] | None = None,
        **options: Any,
    ) -> Result:
        """Run the operator ``mine`` on this index for queries of shape (Q, D); see `ninefold.spec.operators.mine`."""
        if scheduler is None:
            with Scheduler() as own:
                return self.mine(q, device=device, strict=strict, scheduler=own, allowed=allowed, **options)
        return self.parts.mine(scheduler, q, options, device=device, strict=strict, allowed=allowed)

    def asked(self, query: Query, scheduler: Scheduler) -> Asked:
        """Return the checked vector of a query; a text is embedded on the CPU."""
        if not isinstance(query, str):
            return Asked(self._vector_of(query))
        start = time.perf_counter()
        embedded = self._embedded(query, scheduler)
        return Asked(np.asarray(embedded.values["vectors"])[0], embedded, time.perf_counter() - start)

    def _vector_of(self, query: int | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if isinstance(query, int | np.integer) and not isinstance(query, bool):
            self.entry(int(query))
            vector = self._vector(int(query))
            if not vector.any():
                raise InputError(
                    f"row {query} of {self.called} is stored as zeros, which have no nearest entries; "
                    "its values may have been too small for float16"
                )
            return self._scored(vector, f"row {query}")
        if not isinstance(query, np.ndarray):
            raise InputError(f"a query must be a text, the number of a row or an array of floats, not {query!r}")
        if query.dtype.kind != "f" or query.ndim > 2 or query.size != query.shape[-1]:
            raise InputError(f"a query must be floats of shape (D,) or (1, D), not {query.dtype.name} {query.shape}")
        vector = np.asarray(check_rows(query.reshape(1, -1), "the query")[0])
        if len(vector) != self.manifest.dimensions:
            raise InputError(f"the query has {len(vector)} dimensions, the index {self.manifest.dimensions}")
        if not vector.any():
            raise InputError("the query is all zeros, which have no nearest entries")
        return self._scored(vector, "the query")

    def _vector(self, row: int) -> npt.NDArray[np.float32]:
        """Return the stored vector of a row, float32 of shape (D,)."""
        self.require_vectors()
        part, inside = self.parts.place(row)
        return np.asarray(part.database.arrays["vectors"][inside], np.float32)

    def _scored(self, vector: npt.NDArray[np.float32], called: str) -> npt.NDArray[np.float32]:
        """Return a query vector; refuse one that would score 0 against every row."""
        if not quantise(vector, self.generation.scale, self.generation.mode).any():
            most = float(np.abs(vector).max())
            raise InputError(
                f"{called} has only numbers (at most {most:g}) that quantise to 0 at the index's scale of "
                f"{self.generation.scale:.4g}, so every score would be 0; multiply it by a constant"
            )
        return vector

    def _embedded(self, query: str, scheduler: Scheduler) -> Result:
        if not self.manifest.model:
            raise InputError(f"{self.called} holds vectors: search it with a .npy file or the number of a row")
        if not query.strip():
            raise InputError("the query is empty")
        check_model(self.manifest.model, self.called)
        return embed_query(query, scheduler)

    def describe(self) -> Mapping[str, Any]:
        """Return the fields of a report: folder, source, rows, dimensions, mode and scale."""
        generation = self.generation
        attributes = generation.attributes(len(self), self.manifest.dimensions)
        return {"index": self.called, "source": generation.source, **attributes}
