"""Settings of a search and the recall that each one reaches, measured on an index's own rows when it is built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.scheduler import Scheduler
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.numerics.ranked import best
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.formats import MACRO_CLUSTERS, MICRO_CLUSTERS, Mode
from ninefold.spec.progress import step

__all__ = ["Setting", "bytes_read", "chosen", "measured", "recall_by_nits"]

_LISTS: Final = MACRO_CLUSTERS * MICRO_CLUSTERS

_K: Final = 10
_RERANK: Final = 4
#: Values of ``oversample`` that are tried.
_OVERSAMPLES: Final = (1, 2, 4, 8, 16, 32)
#: Clusters that are tried if the database has them, each with all its lists, which are one range of rows, and the
#: oversample with which the rest is nearly without loss.
_MACROS: Final = (4, 8, 16, 24, 32, 48)
_CLUSTERED_OVERSAMPLE: Final = 8
#: Rows that are searched for, their seed, and rows scored together.
_QUERIES: Final = 256
_SEED: Final = 9
_BLOCK: Final = 4096


@dataclass(frozen=True)
class Setting:
    """Options of ``mine``, with the recall that they reached.

    Attributes
    ----------
    scan : str
        ``"signs"`` or ``"nits"``.
    oversample : int
        Option of the scan of signs.
    rerank : int
        Number of results per hit that the float vectors score again.
    macro, micro : int or None
        Number of clusters that are searched, and of lists in each; None for all rows.
    recall : float
        Mean fraction of the 10 nearest rows by exact float search that were among the 10 results.
    """

    scan: str
    oversample: int
    rerank: int
    recall: float
    macro: int | None = None
    micro: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options for ``mine``."""
        options = asdict(self)
        del options["recall"]
        return options

    def __str__(self) -> str:
        """Return the setting and its recall in words."""
        scan = f"signs scanned first, oversample {self.oversample}" if self.scan == "signs" else "all nits scanned"
        if self.macro is not None:
            scan += f", in {self.macro} of {MACRO_CLUSTERS} clusters"
            scan += "" if self.micro == MICRO_CLUSTERS else f" and {self.micro} of {MICRO_CLUSTERS} lists of each"
        return f"{scan}, rerank {self.rerank}: recall {self.recall:.4f} on the index's own rows"


def bytes_read(setting: Setting, rows: int, dimensions: int) -> float:
    """Estimate the bytes that a query reads: signs or nits that are scanned, centroids, and nits of what is kept."""
    share = 1.0 if setting.macro is None else setting.macro * (setting.micro or 0) / _LISTS
    centroids = 0 if setting.macro is None else (MACRO_CLUSTERS + _LISTS) * dimensions / 2
    if setting.scan == "nits":
        return centroids + share * rows * dimensions / 2
    kept = min(_K * setting.rerank * setting.oversample, rows)
    return centroids + share * rows * dimensions / 8 + kept * dimensions / 2


def _tried(clustered: bool) -> list[Setting]:
    found = [Setting("signs", oversample, _RERANK, 0.0) for oversample in _OVERSAMPLES]
    found.append(Setting("nits", _OVERSAMPLES[-1], _RERANK, 0.0))
    for macro in _MACROS if clustered else ():
        found.append(Setting("signs", _CLUSTERED_OVERSAMPLE, _RERANK, 0.0, macro, MICRO_CLUSTERS))
    return found


def measured(scheduler: Scheduler, database: Database) -> tuple[Setting, ...]:
    """Search for sampled rows with each setting, each row itself left out.

    Settings are in the order of `bytes_read`, which depends on the database and not on the machine.

    Parameters
    ----------
    scheduler : Scheduler
        Scheduler that searches, on the CPU.
    database : Database
        Database with float vectors.

    Returns
    -------
    tuple of Setting
        Empty if the rows are too few to tell settings apart, or all zeros.
    """
    vectors, rows = np.asarray(database.require("vectors")), int(database.attributes["rows"])
    if rows <= _K * _RERANK:
        return ()
    sample, q = _sampled(vectors)
    if not len(q):
        return ()
    truth = _nearest(q, vectors, sample)
    found: list[Setting] = []
    tried = _tried("order" in database.arrays)
    tried.sort(key=lambda setting: bytes_read(setting, rows, vectors.shape[1]))
    with step("measuring the recall", len(tried)) as measuring:
        for setting in tried:
            options = {**setting.options, "k": _K + 1}
            result = scheduler.run("mine", q, database, device="cpu", strict=True, **options)
            found.append(replace(setting, recall=_recall(result.values["ids"], sample, truth)))
            measuring.advance()
    return tuple(found)


def recall_by_nits(scheduler: Scheduler, vectors: npt.NDArray[np.float16], scale: float, mode: Mode) -> float | None:
    """Return the recall that a search by nits alone reaches on some rows, if they are quantised by a scale.

    Parameters
    ----------
    scheduler : Scheduler
        Scheduler that searches, on the CPU.
    vectors : float16 array of shape (N, D)
    scale, mode : float, str
        As `quantise` takes them.

    Returns
    -------
    float or None
        Mean fraction of the 10 nearest rows by float search that are among the 10 results; None for too few rows.
    """
    if len(vectors) <= _K * _RERANK:
        return None
    sample, q = _sampled(vectors)
    if not len(q):
        return None
    nits = pack(quantise(np.asarray(vectors, np.float32), scale, mode))
    attributes: dict[str, Any] = {"rows": len(vectors), "dimensions": vectors.shape[1], "scale": scale, "mode": mode}
    result = scheduler.run("mine", q, Database({"nits": nits}, attributes), device="cpu", strict=True, k=_K + 1)
    return _recall(result.values["ids"], sample, _nearest(q, vectors, sample))


def _sampled(vectors: npt.NDArray[np.float16]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the numbers of some rows that are not zeros, ascending, and their vectors."""
    rows = len(vectors)
    sample = np.sort(np.random.default_rng(_SEED).choice(rows, min(_QUERIES, rows), replace=False))
    q = np.asarray(vectors[sample], np.float32)
    return sample[q.any(axis=1)], q[q.any(axis=1)]


def _recall(found: npt.NDArray[np.int64], sample: npt.NDArray[np.int64], truth: list[npt.NDArray[np.int64]]) -> float:
    """Return the mean share of the nearest rows that were found, each row itself left out."""
    lists = [ids[(ids != row) & (ids >= 0)][:_K] for ids, row in zip(found, sample, strict=True)]
    hits = [len(np.intersect1d(a, b)) / len(b) for a, b in zip(lists, truth, strict=True)]
    return round(float(np.mean(hits)), 4)


def chosen(settings: Iterable[Setting], recall: float) -> Setting:
    """Return the cheapest setting that reaches a recall.

    Raises
    ------
    InputError
        The recall is not above 0 and at most 1, no recall was measured, or no setting reaches it.
    """
    if not 0 < recall <= 1:
        raise InputError(f"recall must be above 0 and at most 1, not {recall!r}")
    known = tuple(settings)
    if not known:
        raise InputError(
            "no recall was measured when this index was built: that takes float vectors, and more than"
            f" {_K * _RERANK} rows"
        )
    for setting in known:
        if setting.recall >= recall:
            return setting
    most = max(known, key=lambda setting: setting.recall)
    raise InputError(f"recall must be at most {most.recall}, the highest that was measured, not {recall:g}")


def _nearest(
    q: npt.NDArray[np.float32], vectors: npt.NDArray[np.float16], sample: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.int64]]:
    """Return the nearest rows of each query by float32 products, without the row itself."""
    ids, scores = np.zeros((len(q), 0), np.int64), np.zeros((len(q), 0), np.float32)
    for first in range(0, len(vectors), _BLOCK):
        block = np.asarray(vectors[first : first + _BLOCK], np.float32)
        numbers = np.broadcast_to(np.arange(first, first + len(block)), (len(q), len(block)))
        ids, scores = np.concatenate([ids, numbers], axis=1), np.concatenate([scores, q @ block.T], axis=1)
        columns, scores = best(scores, _K + 1)
        ids = np.take_along_axis(ids, columns, axis=1)
    return [found[found != row][:_K] for found, row in zip(ids, sample, strict=True)]
