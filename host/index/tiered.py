"""Tiers of a live index: questions ask hot lists first, then warm ones, then cold ones, and lists move meanwhile.

All lists are in files, compressed. The rows of hot and warm lists are in memory, and the rows of hot lists are one
database, which stays on a device. Rows that were added since the files were written are scored by each question.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ninefold.host.refine import float_scores
from ninefold.host.scheduler import Scheduler
from ninefold.host.tiers import Tier, TierSizes
from ninefold.host.tiers.routing import STAGES, Calibration, Route, Thresholds, calibrated, confidence
from ninefold.spec.data import Database, Result
from ninefold.spec.errors import InputError, NinefoldError
from ninefold.spec.formats import K_MAX, NO_ID
from ninefold.spec.options import integer

from .lists import ListRows, centroids_of
from .locks import WriterLock
from .parts import Parts
from .read import Hits, Query, Snapshot
from .tier_lists import Layout, TieredLists
from .tier_metrics import publish, withdraw
from .tier_record import FOLDER, TierRecord

__all__ = ["PROBED", "Tiers"]

_LOG = logging.getLogger("ninefold.tiers")
#: Largest number of lists that a question uses: the lists of ``probe``, the best 4 of each of the best 8 clusters.
PROBED: Final = 32
_RERANK: Final = 4
#: Questions whose moves may wait.
_WAITING: Final = 256
_SEED: Final = 9

_Floats = npt.NDArray[np.float64]
_Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Found:
    """Best rows after a stage, best first."""

    stage: str
    sequence: _Ids
    scores: _Floats
    seconds: float


@dataclass(frozen=True, eq=False)
class _Asked:
    """One question with the version of the index that it asks."""

    vector: npt.NDArray[np.float32]
    k: int
    rerank: int
    parts: Parts
    layout: Layout
    lists: tuple[int, ...]
    device: str = "auto"
    strict: bool = False
    read: dict[int, ListRows] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)


class Tiers:
    """Tiers of an index. Thread-safe; close it, or use it as a context manager, to keep the momentum for later.

    Parameters
    ----------
    folder : Path
        Folder of the index. Files are in its folder ``tiers``, which one process uses at a time.
    snapshot : callable
        ``snapshot()`` returns the last version of the index.
    scheduler : Scheduler
        Scheduler that keeps the hot lists and the momentum on devices.
    sizes, lists : TierSizes, int
        Sizes of the tiers, and lists that each question uses (1 to 32); by default as before, at first 32 and 256, and
        4.
    rebuild : bool
        Write all lists again, and forget momentum, counts and thresholds.

    Raises
    ------
    InputError
        The index has no clusters or fewer lists than the tiers, or another process uses its tiers.
    DamagedDataError
        A file is damaged or missing; the message names it.
    """

    def __init__(
        self,
        folder: Path,
        snapshot: Callable[[], Snapshot],
        scheduler: Scheduler,
        *,
        sizes: TierSizes | None = None,
        lists: int | None = None,
        rebuild: bool = False,
    ) -> None:
        if lists is not None and not 1 <= integer("lists", lists) <= PROBED:
            raise InputError(f"a question must use 1 to {PROBED} lists, not {lists}")
        self.scheduler, self.folder, self._snapshot = scheduler, folder / FOLDER, snapshot
        with snapshot() as first:
            centroids_of(first)  # refuse an index without clusters before files are made
        self.content = TieredLists(self.folder, scheduler)
        self._lock = WriterLock(self.folder)
        self._lock.take()
        self._moving, self._counting = threading.RLock(), threading.Lock()
        self._room = threading.Semaphore(_WAITING)
        self._background = ThreadPoolExecutor(1, "ninefold tiers")
        self._failed: NinefoldError | None = None
        self._open = True
        try:
            with snapshot() as now:
                self.called = now.called
                known = TierRecord.readable(self.folder) if rebuild else TierRecord.read(self.folder)
                if rebuild and known is not None:
                    sizes, lists, known = sizes or known.sizes, lists or known.lists, None
                self.content.start(now, known, sizes, lists)
            publish(self)
        except BaseException:
            self._release(save=False)
            raise

    # Opening and closing.

    def _release(self, *, save: bool = True) -> None:
        self._open = False
        self._background.shutdown()
        try:
            self.content.close(save=save)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Finish the moves, write momentum and counts, and free the devices."""
        if self._open:
            withdraw(self)
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Questions.

    @property
    def record(self) -> TierRecord:
        """Places of the lists, and counts."""
        return self.content.record

    @property
    def thresholds(self) -> Thresholds:
        """Confidences at which a question ends in a stage; set them to use others from now on."""
        return self.record.thresholds

    @thresholds.setter
    def thresholds(self, thresholds: Thresholds) -> None:
        self.record.thresholds = thresholds

    def search(
        self,
        query: Query,
        k: int = 10,
        *,
        rerank: int | None = None,
        time_s: float | None = None,
        urgency: float = 0.0,
        task: str | None = None,
        device: str = "auto",
        strict: bool = False,
    ) -> Hits:
        """Find the entries nearest to a query in the first stage whose answer is good enough.

        Parameters
        ----------
        query, k, device, strict
            As in `Snapshot.search`. Warm and cold lists are scored on the CPU.
        rerank : int, optional
            The hot lists and the stage exact rescore the best rerank * k rows; by default 4, or as many as 256 rows
            allow. The scores of all hits are dot products of the float vectors.
        time_s : float, optional
            Time of the question in seconds, not before the time of the last one; by default the time of day.
        urgency : float
            0 to 1, for an earlier stage.
        task : str, optional
            The confidence grows if the field ``task`` of the best hit is this.

        Returns
        -------
        Hits
            Their `route` tells the stage that answered.

        Raises
        ------
        InputError
            For an invalid query or option, or a time that runs backwards.
        DamagedDataError
            The file of a list that the question needs is missing or damaged; the message names it.
        """
        confidence(0.0, urgency)  # refuses the urgency
        with self._current() as snapshot:
            clock = self.record.clock
            now = max(time.time(), clock) if time_s is None else time_s
            if not now >= clock:
                raise InputError(f"time must not run backwards: {now} is before {clock}, the last one")
            asked, embedded, embed_s = self._asked(snapshot, query, k, rerank, device, strict)
            seconds: dict[str, float] = {}
            stage = STAGES[-1]
            for found in self._stages(asked):
                seconds[found.stage] = found.seconds
                rows = np.searchsorted(asked.parts.sequence, found.sequence)
                scores = found.scores
                reached = self._confidence(snapshot, asked, rows, scores, urgency, task)
                if self.record.thresholds.enough(found.stage, reached):
                    stage = found.stage
                    break
            else:
                rows, scores, seconds[stage] = self._exact(snapshot, asked)
                reached = self._confidence(snapshot, asked, rows, scores, urgency, task)
            tiers = tuple(asked.layout.tier(number).name.lower() for number in asked.lists)
            route = Route(stage, reached, stage != STAGES[-1], asked.lists, tiers, seconds)
            result = _result(asked, route, rows, scores)
            hits = Hits(snapshot.hits(result, 0), result, embed_s, embedded, route=route)
            snapshot.note_uses(asked.vector[None], [hits])
        self._note(asked, route, now)
        return hits

    def _asked(
        self, snapshot: Snapshot, query: Query, k: int, rerank: int | None, device: str, strict: bool
    ) -> tuple[_Asked, Result | None, float]:
        if rerank is None:
            rerank = max(1, min(_RERANK, K_MAX // max(k, 1)))
        nothing = np.zeros((0, snapshot.manifest.dimensions), np.float32)
        options = {"k": k, "rerank": rerank}
        self.scheduler.check_task(snapshot.parts.task(nothing, options, device=device, strict=strict))
        one = snapshot.asked(query, self.scheduler)
        found = self.scheduler.run("probe", one.vector[None], self.content.probed, macro=8, micro=4)
        lists = tuple(found.values["ids"][0, : self.record.lists].tolist())
        asked = _Asked(one.vector, k, rerank, snapshot.parts, self.content.layout, lists, device, strict)
        return asked, one.embedded, one.seconds

    def _stages(self, asked: _Asked) -> Iterator[_Found]:
        """Yield the best rows after each stage but the last, each with the rows of those before."""
        layout, start = asked.layout, time.perf_counter()
        newer = self.content.newer(asked.parts, layout.upto)
        best = self._scored(asked, [newer] if len(newer) else [])
        if layout.database is not None and layout.rows is not None:
            best = _best(asked.k, best, self._hot(asked, layout.rows, layout.database))
        yield _Found("hot", *best, time.perf_counter() - start)
        start = time.perf_counter()
        warm = [n for n in asked.lists if layout.tier(n) is Tier.WARM]
        best = _best(asked.k, best, self._scored(asked, [layout.held[number] for number in warm]))
        yield _Found("warm", *best, time.perf_counter() - start)
        start = time.perf_counter()
        for number in asked.lists:
            if layout.tier(number) is Tier.COLD:
                asked.read[number] = self.content.read(number, layout.upto)
        best = _best(asked.k, best, self._scored(asked, list(asked.read.values())))
        yield _Found("cold", *best, time.perf_counter() - start)

    def _hot(self, asked: _Asked, rows: ListRows, database: Database) -> tuple[_Ids, _Floats]:
        """Return the best rows of the hot lists, which are searched on a device."""
        alive = _alive(rows, asked.parts)
        allowed = None if alive.all() else np.packbits(alive, bitorder="little")
        result = self.scheduler.run(
            "mine",
            asked.vector[None],
            database,
            allowed,
            k=asked.k,
            rerank=asked.rerank,
            device=asked.device,
            strict=asked.strict,
        )
        ids, scores = _taken(asked, result)
        return rows.sequence[ids], scores

    def _scored(self, asked: _Asked, lists: Sequence[ListRows]) -> tuple[_Ids, _Floats]:
        """Return the best rows of lists in memory by their float vectors."""
        if not lists:
            return np.zeros(0, np.int64), np.zeros(0)
        live = [rows.only(alive) if not (alive := _alive(rows, asked.parts)).all() else rows for rows in lists]
        vectors = np.concatenate([rows.vectors for rows in live])
        if not len(vectors):
            return np.zeros(0, np.int64), np.zeros(0)
        scores = float_scores(asked.vector[None], vectors)[0]
        return _best(asked.k, (np.concatenate([rows.sequence for rows in live]), scores))

    def _exact(self, snapshot: Snapshot, asked: _Asked) -> tuple[_Ids, _Floats, float]:
        """Return the best of all rows, and the time of their search."""
        start = time.perf_counter()
        result = snapshot.mine(
            asked.vector[None],
            scheduler=self.scheduler,
            device=asked.device,
            strict=asked.strict,
            k=asked.k,
            rerank=asked.rerank,
        )
        return *_taken(asked, result), time.perf_counter() - start

    @staticmethod
    def _confidence(
        snapshot: Snapshot, asked: _Asked, rows: _Ids, scores: _Floats, urgency: float = 0.0, task: str | None = None
    ) -> float:
        """Return the confidence in the best row; 0 without one."""
        if not len(rows):
            return 0.0
        vector = np.asarray(asked.parts.rows("vectors", rows[:1])[0], np.float64)
        lengths = float(np.linalg.norm(vector) * np.linalg.norm(asked.vector.astype(np.float64)))
        cosine = float(scores[0]) / lengths if lengths else 0.0
        same = task is not None and snapshot.entry(int(rows[0])).fields.get("task") == task
        return confidence(cosine, urgency, same_task=same)

    @contextlib.contextmanager
    def _current(self) -> Iterator[Snapshot]:
        """Yield the last version of the index, after writing its lists if it has a new generation."""
        if not self._open:
            raise InputError(f"the tiers of {self.called} are closed")
        snapshot = self._snapshot()
        if snapshot.generation.number != self.record.generation:
            snapshot.close()
            with self._moving:
                snapshot = self._snapshot()
                if snapshot.generation.number != self.record.generation:
                    self.content.start(snapshot, self.record)
        with snapshot:
            yield snapshot

    # Moves.

    def _note(self, asked: _Asked, route: Route, now: float) -> None:
        """Count a question, and move lists for it in the background."""
        with self._counting:
            counts = self.record.counts
            for tier in route.tiers:
                counts.lookups[tier] += 1
            counts.answers[route.stage] += 1
            for stage, seconds in route.seconds.items():
                counts.searches[stage] += 1
                counts.seconds[stage] += seconds
            self.record.clock = max(self.record.clock, now)
        self._room.acquire()
        try:
            self._background.submit(self._moved, asked, now, self.record.generation)
        except RuntimeError:  # closed meanwhile
            self._room.release()

    def _moved(self, asked: _Asked, now: float, generation: int) -> None:
        """Move lists after a question."""
        try:
            with self._moving:
                if generation == self.record.generation:
                    read = asked.read if asked.layout.upto == self.content.layout.upto else {}
                    self.content.move(asked.lists, asked.vector, now, asked.parts, read)
        except (NinefoldError, OSError) as error:
            self._failed = error if isinstance(error, NinefoldError) else NinefoldError(str(error))
            _LOG.warning("lists of %s could not be moved: %s", self.called, error)
        finally:
            self._room.release()

    def flush(self) -> None:
        """Wait for the moves of all questions so far, and raise the error of one that failed."""
        self._background.submit(lambda: None).result()
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    # Calibration.

    def calibrate(
        self, recall: float, *, k: int = 10, questions: npt.NDArray[np.float32] | None = None, count: int = 200
    ) -> Calibration:
        """Choose thresholds that keep a recall, with the lists where they are now, and use them.

        Parameters
        ----------
        recall : float
            Mean share of the hits of an exact search that the answers must have, above 0 and at most 1.
        k : int
            Number of hits.
        questions : float32 array (Q, D), optional
            Vectors of at least 20 questions; by default of sampled rows of the index, each without itself. Thresholds
            hold for questions of their kind.
        count : int
            Number of sampled rows.
        """
        with self._current() as snapshot:
            own = np.zeros(0, np.int64)
            if questions is None:
                size = min(count, len(snapshot))
                own = np.sort(np.random.default_rng(_SEED).choice(len(snapshot), size, replace=False))
                questions = snapshot.parts.rows("vectors", own).astype(np.float32)
            elif questions.ndim != 2 or questions.shape[1] != snapshot.manifest.dimensions:
                raise InputError(
                    f"questions must have shape (Q, {snapshot.manifest.dimensions}), not {questions.shape}"
                )
            reached, recalls = np.zeros((len(questions), 3)), np.zeros((len(questions), 3))
            for at, vector in enumerate(questions):
                asked, _, _ = self._asked(snapshot, vector, k + 1 if len(own) else k, None, "auto", False)
                rows, _, _ = self._exact(snapshot, asked)
                wanted = _without(rows, own, at)[:k]
                for column, found in enumerate(self._stages(asked)):
                    there = np.searchsorted(asked.parts.sequence, found.sequence)
                    kept = _without(there, own, at)
                    recalls[at, column] = np.isin(wanted, kept[:k]).mean() if len(wanted) else 1.0
                    scores = found.scores[np.isin(there, kept)]
                    reached[at, column] = self._confidence(snapshot, asked, kept, scores)
        calibration = calibrated(reached, recalls, recall)
        self.record.thresholds = calibration.thresholds
        with self._moving:
            self.content.save()
        return calibration


def _alive(rows: ListRows, parts: Parts) -> npt.NDArray[np.bool_]:
    """Return the rows that a version has."""
    places = np.searchsorted(parts.sequence, rows.sequence)
    inside = places < len(parts.sequence)
    inside[inside] = parts.sequence[places[inside]] == rows.sequence[inside]
    return inside


def _taken(asked: _Asked, result: Result) -> tuple[_Ids, _Floats]:
    """Note who answered a search for a question, and return its rows and scores."""
    asked.results.append(result)
    count = int(result.values["count"][0])
    return np.asarray(result.values["ids"][0, :count]), np.asarray(result.values["scores"][0, :count])


def _best(k: int, *found: tuple[_Ids, _Floats]) -> tuple[_Ids, _Floats]:
    """Return the best k rows of several results, ties by sequence number."""
    sequence, scores = (np.concatenate(some) for some in zip(*found, strict=True))
    order = np.lexsort((sequence, -scores))[:k]
    return sequence[order], scores[order]


def _without(rows: _Ids, own: _Ids, at: int) -> _Ids:
    return rows if not len(own) else rows[rows != own[at]]


def _result(asked: _Asked, route: Route, rows: _Ids, scores: _Floats) -> Result:
    """Return the answer to a question as a result of ``mine``."""
    ids, found = np.full((1, asked.k), NO_ID, np.int64), np.full((1, asked.k), -np.inf)
    ids[0, : len(rows)], found[0, : len(rows)] = rows, scores
    values = {"ids": ids, "scores": found, "count": np.array([len(rows)], np.int64)}
    devices = [result.answered_by for result in asked.results]
    devices += ["cpu"] if route.stage in ("warm", "cold") else []
    last = asked.results[-1] if asked.results else None
    return Result(
        values,
        path=f"tiers, {route.stage}",
        metrics={"seconds": sum(route.seconds.values())},
        asked_for=asked.device,
        answered_by=", ".join(dict.fromkeys(devices or ["cpu"])),
        why=f"the stage {route.stage} answered with a confidence of {route.confidence:.3f}",
        considered=last.considered if last is not None else (),
        fallbacks=tuple(dict.fromkeys(text for result in asked.results for text in result.fallbacks)),
    )
