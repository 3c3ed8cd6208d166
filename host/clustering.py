"""Clusters of a database: spherical k-means in two levels, for searches that scan only part of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.spec.errors import InputError
from ninefold.spec.formats import CALIBRATION, MACRO_CLUSTERS, MICRO_CLUSTERS, MODES, Mode

__all__ = ["Clusters", "cluster"]

_Floats = npt.NDArray[np.float64]
#: Rows from which centroids are learned, for each centroid, and rounds of assigning and averaging.
_SAMPLE_EACH: Final = 256
_ROUNDS: Final = 12
#: Rows assigned together.
_BLOCK: Final = 8192


@dataclass(frozen=True)
class Clusters:
    """Rows by list, and centroids as nits. List ``micro * i + j`` is list j of cluster i.

    Attributes
    ----------
    order : int64 array of shape (N,)
        Rows by list, ascending within a list.
    starts : int64 array of shape (macro * micro + 1,)
        First position of each list in `order`.
    macro, micro : uint8 arrays of shape (macro, ceil(D / 2)) and (macro * micro, ceil(D / 2))
        Packed nits of the centroids of clusters and of lists.
    scale : float
        Factor by which centroids, of length 1, were multiplied before they were rounded to the grid.
    """

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    macro: npt.NDArray[np.uint8]
    micro: npt.NDArray[np.uint8]
    scale: float

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Fields for a `Database` of ``mine``."""
        return {"order": self.order, "starts": self.starts, "macro": self.macro, "micro": self.micro}


def cluster(
    vectors: npt.NDArray[Any],
    macro: int = MACRO_CLUSTERS,
    micro: int = MICRO_CLUSTERS,
    seed: int = CALIBRATION.seed,
    *,
    mode: Mode = "linear",
) -> Clusters:
    """Divide rows into `macro` clusters, and each of them into `micro` lists, by direction.

    Spherical k-means (Dhillon and Modha, 2001) in float64: a row belongs to the centroid with the largest cosine, of
    equal ones the first, and a centroid is the mean direction of its rows. Centroids are learned from a seeded sample.

    Parameters
    ----------
    vectors : float array of shape (N, D)
        Rows of any length; a row of zeros belongs to the first cluster and list.
    macro, micro : int
        Number of clusters, and of lists in each.
    seed : int
        Seed of the sample and of the first centroids.
    mode : {'tanh', 'linear'}
        Thresholds by which the centroids are quantised.

    Returns
    -------
    Clusters
        Its `arrays` go into a `Database` beside the nits, ``{**database.arrays, **clusters.arrays}``, and its `scale`
        is the attribute ``centroid_scale``.

    Raises
    ------
    InputError
        There is no row, or a value is out of range.
    """
    if vectors.ndim != 2 or not len(vectors):
        raise InputError(f"vectors must have shape (N, D) with N of at least 1, not {vectors.shape}")
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    for name, value in (("macro", macro), ("micro", micro)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    random = np.random.default_rng(seed)
    sample = _directions(_sampled(random, vectors, np.arange(len(vectors)), macro * _SAMPLE_EACH))
    coarse = _means(random, sample, macro)
    clusters = _assigned(vectors, coarse)
    fine = np.zeros((macro * micro, vectors.shape[1]))
    lists = np.zeros(len(vectors), np.int64)
    for number in range(macro):
        rows = np.flatnonzero(clusters == number)
        part = slice(number * micro, (number + 1) * micro)
        if len(rows):
            fine[part] = _means(random, _directions(_sampled(random, vectors, rows, micro * _SAMPLE_EACH)), micro)
            lists[rows] = number * micro + _assigned(vectors[rows], fine[part])
    scale = _scale(fine, mode)
    return Clusters(
        np.argsort(lists, kind="stable"),
        np.searchsorted(np.sort(lists), np.arange(macro * micro + 1)),
        pack(quantise(coarse, scale, mode)),
        pack(quantise(fine, scale, mode)),
        scale,
    )


def _sampled(
    random: np.random.Generator, vectors: npt.NDArray[Any], rows: npt.NDArray[np.int64], size: int
) -> npt.NDArray[Any]:
    chosen = rows if len(rows) <= size else np.sort(random.choice(rows, size, replace=False))
    return np.asarray(vectors[chosen])


def _directions(vectors: npt.NDArray[Any]) -> _Floats:
    """Return rows of length 1 in float64; a row of zeros stays."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    np.divide(wide, lengths, out=wide, where=lengths > 0)
    return wide


def _means(random: np.random.Generator, rows: _Floats, number: int) -> _Floats:
    """Return the centroids of k-means; with fewer rows than centroids the rest are zeros."""
    centroids = np.zeros((number, rows.shape[1]))
    first = random.permutation(len(rows))[:number]
    centroids[: len(first)] = rows[first]
    for _ in range(_ROUNDS):
        cosines = rows @ centroids.T
        nearest = cosines.argmax(axis=1)
        members = np.zeros((number, len(rows)))
        members[nearest, np.arange(len(rows))] = 1.0
        moved = _directions(members @ rows)
        # A centroid that lost all its rows takes over the row that fits its own centroid worst.
        empty = np.flatnonzero(np.bincount(nearest, minlength=number)[: len(first)] == 0)
        worst = np.argsort(cosines.max(axis=1), kind="stable")[: len(empty)]
        moved[empty] = rows[worst]
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids


def _assigned(vectors: npt.NDArray[Any], centroids: _Floats) -> npt.NDArray[np.int64]:
    """Return the nearest centroid of each row; the length of a row changes none of its comparisons."""
    blocks = (np.asarray(vectors[first : first + _BLOCK], np.float64) for first in range(0, len(vectors), _BLOCK))
    return np.concatenate([(rows @ centroids.T).argmax(axis=1) for rows in blocks])


def _scale(centroids: _Floats, mode: Mode) -> float:
    """Return the middle one of the scales that `calibrate` would try; 1 if all centroids are zeros."""
    used, multiples = centroids[centroids.any(axis=1)], CALIBRATION.multiples[mode]
    sigma = float(used.std()) if used.size else 0.0
    return multiples[len(multiples) // 2] / sigma if sigma > 0 else 1.0
