"""Sizes, segments and state of an index, and how well its scale fits, for reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from ninefold.host.scheduler import Scheduler
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

from . import generations
from .index import Index
from .read import Snapshot
from .settings import recall_by_nits

__all__ = ["Fit", "fit_of", "status_of"]

#: Rows on which the fit of a scale is measured, and their seed.
_SAMPLE: Final = 5000
_SEED: Final = 9
#: Loss of recall from which a scale has drifted; samples of other rows differ by less.
_LOST: Final = 0.02


@dataclass(frozen=True)
class Fit:
    """Fit of a generation to the entries of an index, measured on a sample of its own rows.

    Attributes
    ----------
    recall, best_recall : float or None
        Recall at 10 of a search by nits alone, by the scale of the index and by the scale that would be chosen now;
        None if there are no float vectors, or too few rows.
    lacks_clusters : bool
        True if the index has no clusters, and enough entries for a new generation to have them.
    """

    recall: float | None
    best_recall: float | None
    lacks_clusters: bool

    @property
    def drifted(self) -> bool:
        """True if another scale would find clearly more."""
        return self.recall is not None and self.best_recall is not None and self.best_recall - self.recall > _LOST

    @property
    def fits(self) -> bool:
        """True if a new generation would not help."""
        return not (self.drifted or self.lacks_clusters)


def fit_of(index: Index) -> Fit:
    """Measure how well the scale of an index fits its entries."""
    with index.snapshot() as snapshot, Scheduler() as scheduler:
        if not snapshot.manifest.vectors:
            return Fit(None, None, False)
        clusters = snapshot.generation.centroid_scale is None and len(snapshot) >= generations.CLUSTERED_ROWS
        with step("measuring the fit of the scale"):
            return Fit(*_recalls(snapshot, scheduler), clusters)


def _recalls(snapshot: Snapshot, scheduler: Scheduler) -> tuple[float | None, float | None]:
    """Return the recall by the scale of an index on some of its rows, and by the one that fits them best."""
    generation, rows = snapshot.generation, len(snapshot)
    chosen = np.random.default_rng(_SEED).choice(rows, min(_SAMPLE, rows), replace=False)
    vectors = snapshot.parts.rows("vectors", np.sort(chosen))
    found = recall_by_nits(scheduler, vectors, generation.scale, generation.mode)
    if found is None:  # too few rows
        return None, None
    try:
        scale = generations.calibrated_scale(scheduler, vectors, generation.mode, snapshot.called)
    except InputError:  # no scale fits rows that are all alike
        return found, None
    best = recall_by_nits(scheduler, vectors, scale, generation.mode)
    return found, best if best is None else max(best, found)


def status_of(index: Index) -> dict[str, Any]:
    """Return what ``ninefold index info`` reports.

    Returns
    -------
    dict
        ``index``, ``source``, ``rows``, ``dimensions``, ``scale``, ``mode``, and: ``folder``, ``model``, ``vectors``,
        ``clusters``, ``fields`` (declared ones with their types), ``generation``, ``bytes`` on the disk, ``tail`` (rows
        in no segment), ``dead_share`` (of the rows in segments),
        ``bound`` (None without one, otherwise ``max_entries``, ``nursery``, ``used`` and ``anchored``, numbers of
        entries), ``best_recall`` (measured when the generation was made; None without a measurement), and
        ``segments``, each with ``digest``, ``rows``, ``dead`` and ``bytes``.
    """
    bounds = index.bounds
    bound = {"max_entries": bounds.most, "nursery": bounds.nursery}
    bound |= {"used": bounds.used, "anchored": bounds.anchored}
    with index.snapshot() as snapshot:
        generation, manifest = snapshot.generation, snapshot.manifest
        segments = []
        tail = 0
        for part in snapshot.parts.parts:
            if part.on_host:
                tail += len(part)
                continue
            dead = 0 if part.alive is None else int(np.count_nonzero(~part.alive))
            size = sum(array.nbytes for array in part.database.arrays.values())
            segments.append({"digest": part.database.digest, "rows": len(part.sequence), "dead": dead, "bytes": size})
        rows = sum(one["rows"] for one in segments)
        recalls = [setting.recall for setting in generation.settings]
        return {
            **snapshot.describe(),
            "folder": str(index.folder),
            "model": manifest.model,
            "vectors": manifest.vectors,
            "contexts": manifest.contexts,
            "clusters": generation.centroid_scale is not None,
            "fields": dict(asdict(manifest)["fields"]),
            "generation": generation.number,
            "bytes": sum(path.stat().st_size for path in index.folder.rglob("*") if path.is_file()),
            "tail": tail,
            "dead_share": sum(one["dead"] for one in segments) / rows if rows else 0.0,
            "bound": None if bounds.most is None else bound,
            "best_recall": max(recalls, default=None),
            "segments": segments,
        }
