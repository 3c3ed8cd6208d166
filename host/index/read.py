"""Opening and searching an index."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, overload

import numpy as np
import numpy.typing as npt

from ninefold.host.scheduler import Scheduler, run
from ninefold.host.sources import Entry
from ninefold.host.sources.vectors import check_rows
from ninefold.numerics.quantise import quantise
from ninefold.spec.data import Database, Result, Task
from ninefold.spec.errors import DamagedDataError, InputError

from .atomic import recover
from .embedding import embed_query, embedder
from .files import held, mapped_array, mapped_bytes
from .format import CLUSTERS, NITS, OFFSETS, TEXTS, Manifest, locate
from .settings import Setting, chosen

__all__ = ["Hit", "Hits", "Index", "Query", "SearchOptions"]

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
    device: str
    strict: bool
    scheduler: Scheduler | None


@dataclass(frozen=True)
class Hit:
    """Entry found by a search.

    Attributes
    ----------
    row : int
        Row of the entry in the index.
    score : int or float
        Integer dot product of nits. After reranking, dot product of the float vectors; for vectors of length 1, such as
        the embeddings of texts, this is their cosine.
    entry : Entry
        Id, title and text.
    """

    row: int
    score: float
    entry: Entry


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
    """

    hits: tuple[Hit, ...]
    result: Result
    embed_seconds: float
    embedded: Result | None = None
    setting: Setting | None = None

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Devices that failed, as in `Result`, at embedding and at searching."""
        return (self.embedded.fallbacks if self.embedded is not None else ()) + self.result.fallbacks

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True)
class _Asked:
    """Vector of a query; for a text, the result of the task that embedded it, and the time it took."""

    vector: npt.NDArray[np.float32]
    embedded: Result | None = None
    seconds: float = 0.0


class Index:
    """Open index, memory-mapped and read-only.

    Parameters
    ----------
    folder : Path
        Folder of the index.
    manifest : Manifest
        Its manifest, checked by `Index.open`.
    called : str
        Name in errors and reports; the folder if empty.
    """

    def __init__(self, folder: Path, manifest: Manifest, called: str = "") -> None:
        self.folder = folder
        self.called = called or str(folder)
        self.manifest = manifest
        arrays = {}
        for name, (shape, dtype) in manifest.arrays.items():
            if name in manifest.files:
                arrays[name.removesuffix(".npy")] = mapped_array(folder / name, shape, dtype)
        self.database = Database(arrays, manifest.attributes, manifest.digest)
        # Mapped now, because these names lead to other files once the index is replaced.
        if manifest.model:
            self._texts = mapped_bytes(folder / TEXTS)
            self._offsets = mapped_array(folder / OFFSETS, (manifest.rows + 1,), "int64")

    @classmethod
    def open(cls, name: str, *, verify: bool = True, called: str = "") -> Index:
        """Open an index.

        Parameters
        ----------
        name : str
            Path if it contains a ``/``, otherwise a name in the data folder.
        verify : bool
            Compare the size and SHA-256 of every file with the manifest. The first time this takes about a second per
            GB; unchanged files are not read again (see `ninefold.host.digests`).
        called : str
            Name in errors and reports once the index is open; its folder if empty.

        Raises
        ------
        InputError
            If there is no index of that name.
        DamagedDataError
            If it is damaged, truncated or not an index; the message names the file.
        """
        folder = locate(name)
        while True:
            recover(folder)
            with held(folder) as replaced:
                try:
                    index = cls._opened(folder, verify, called)
                except (DamagedDataError, InputError, FileNotFoundError):
                    if not replaced():
                        raise
                else:
                    if not replaced():
                        return index

    @classmethod
    def _opened(cls, folder: Path, verify: bool, called: str) -> Index:
        manifest = Manifest.read(folder)
        needed = {NITS} | ({TEXTS, OFFSETS} if manifest.model else set())
        needed |= set() if manifest.centroid_scale is None else set(CLUSTERS)
        for missing in sorted(needed - set(manifest.files)):
            raise DamagedDataError(f"{folder} is an incomplete index: its manifest lists no {missing}")
        if verify:
            for file, record in manifest.files.items():
                record.check(folder / file)
        return cls(folder, manifest, called)

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def vectors(self) -> npt.NDArray[np.float16]:
        """Float vectors, float16 (rows, dimensions); raises `InputError` if the index has none."""
        if "vectors" not in self.database.arrays:
            raise InputError(f"{self.called} has no float vectors, which this needs; rebuild it without --no-vectors")
        found: npt.NDArray[np.float16] = self.database.arrays["vectors"]
        return found

    def entry(self, row: int) -> Entry:
        """Return the entry of a row.

        Raises
        ------
        InputError
            If there is no such row.
        DamagedDataError
            If the row does not hold an entry; `open` with `verify` detects this earlier.
        """
        if not 0 <= row < len(self):
            raise InputError(f"row must be 0 to {len(self) - 1}, not {row}")
        if not self.manifest.model:
            return Entry(str(row), f"row {row}", "")
        begin, end = (int(offset) for offset in self._offsets[row : row + 2])
        try:
            if not 0 <= begin <= end <= len(self._texts):
                raise ValueError(f"bytes {begin} to {end}")
            return Entry(**json.loads(self._texts[begin:end].tobytes()))
        except (ValueError, TypeError, RecursionError) as error:
            path = self.folder / TEXTS
            raise DamagedDataError(f"{path} is damaged: row {row} is not an entry; rebuild the index") from error

    @overload
    def search(self, query: Query, k: int = 10, **options: Unpack[SearchOptions]) -> Hits: ...

    @overload
    def search(self, query: list[_Query], k: int = 10, **options: Unpack[SearchOptions]) -> list[Hits]: ...

    def search(
        self,
        query: Query | list[_Query],
        k: int = 10,
        *,
        rerank: int | None = None,
        threshold: str | None = None,
        recall: float | None = None,
        scan: str | None = None,
        oversample: int | None = None,
        device: str = "auto",
        strict: bool = False,
        scheduler: Scheduler | None = None,
    ) -> Hits | list[Hits]:
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
            Instead of `rerank`, `scan` and `oversample`, choose the cheapest setting that reached this recall when the
            index was built.
        scan : {'nits', 'signs'}, optional
            Score all rows by nits (default), or only the best by the signs of their nits.
        oversample : int, optional
            The scan of signs keeps oversample * rerank * k rows, 1 to 64; 32 by default.
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
        if scheduler is None:
            with Scheduler() as own:
                wanted = {"rerank": rerank, "threshold": threshold, "recall": recall}
                wanted |= {"scan": scan, "oversample": oversample}
                return self.search(query, k, **wanted, device=device, strict=strict, scheduler=own)  # type: ignore[arg-type]
        options: dict[str, Any] = {"k": k, "threshold": threshold}
        given = {"rerank": rerank, "scan": scan, "oversample": oversample}
        options |= {name: value for name, value in given.items() if value is not None}
        setting = None
        if recall is not None:
            if name := next((name for name, value in given.items() if value is not None), None):
                raise InputError(f"recall chooses {name} itself: leave out {name} {given[name]}")
            setting = chosen(self.manifest.settings, recall)
            options |= setting.options
            rerank = setting.rerank
        # Refuse invalid options and devices before the model starts.
        scheduler.check_task(self._task(np.zeros((0, self.manifest.dimensions), np.float32), device, strict, options))
        if rerank:
            self.vectors  # noqa: B018 - raises if there are none
        asked = [self._asked(one, scheduler) for one in (query if isinstance(query, list) else [query])]
        if not asked:
            return []
        vectors = np.stack([one.vector for one in asked])
        result = self.mine(vectors, scheduler=scheduler, device=device, strict=strict, **options)
        found = [
            Hits(self.hits(result, number), result, one.seconds, one.embedded, setting)
            for number, one in enumerate(asked)
        ]
        return found if isinstance(query, list) else found[0]

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
        task = self._task(q, device, strict, options, allowed)
        return run(task) if scheduler is None else scheduler.run_task(task)

    def _task(
        self,
        q: npt.NDArray[np.float32],
        device: str,
        strict: bool,
        options: Mapping[str, Any],
        allowed: npt.NDArray[np.uint8] | None = None,
    ) -> Task:
        arguments = {"q": q, "database": self.database, "allowed": allowed}
        return Task("mine", arguments, options, device=device, strict=strict)

    def _asked(self, query: Query, scheduler: Scheduler) -> _Asked:
        if not isinstance(query, str):
            return _Asked(self._vector_of(query))
        start = time.perf_counter()
        embedded = self._embedded(query, scheduler)
        return _Asked(np.asarray(embedded.values["vectors"])[0], embedded, time.perf_counter() - start)

    def _vector_of(self, query: int | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if isinstance(query, int | np.integer) and not isinstance(query, bool):
            self.entry(int(query))
            vector = np.asarray(self.vectors[query], np.float32)
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

    def _scored(self, vector: npt.NDArray[np.float32], called: str) -> npt.NDArray[np.float32]:
        """Return a query vector; refuse one that would score 0 against every row."""
        if not quantise(vector, self.manifest.scale, self.manifest.mode).any():  # type: ignore[arg-type]
            most = float(np.abs(vector).max())
            raise InputError(
                f"{called} has only numbers (at most {most:g}) that quantise to 0 at the index's scale of "
                f"{self.manifest.scale:.4g}, so every score would be 0; multiply it by a constant"
            )
        return vector

    def _embedded(self, query: str, scheduler: Scheduler) -> Result:
        if not self.manifest.model:
            raise InputError(f"{self.called} holds vectors: search it with a .npy file or the number of a row")
        if not query.strip():
            raise InputError("the query is empty")
        there, here = self.manifest.model, embedder().model.digest
        if there != here:
            raise InputError(
                f"{self.called} was embedded by the model {there[:12]}, but {here[:12]} is in use, whose vectors are "
                "not comparable; rebuild the index"
            )
        return embed_query(query, scheduler)

    def describe(self) -> Mapping[str, Any]:
        """Return the fields of a report: folder, source, rows, dimensions, mode and scale."""
        manifest = self.manifest
        return {"index": self.called, "source": manifest.source, **manifest.attributes}
