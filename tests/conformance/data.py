"""Real and random data for the cases."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.embedding import Embedder
from ninefold.numerics.nits import pack
from ninefold.spec.data import Database
from ninefold.spec.formats import MACRO_CLUSTERS, MICRO_CLUSTERS, NIT_MAX, NIT_MIN, Mode

__all__ = ["F32", "calibrated", "clustered", "coarse", "database", "mask", "nits", "real_embeddings"]

F32 = np.float32
LISTS = MACRO_CLUSTERS * MICRO_CLUSTERS


@cache
def real_embeddings() -> npt.NDArray[np.float32]:
    """Embeddings of the docstrings of some modules of the standard library, float32 (about 150, 384)."""
    import argparse
    import collections
    import pathlib
    import shutil
    import statistics

    texts = []
    for module in (argparse, collections, pathlib, shutil, statistics):
        for name, thing in sorted(vars(module).items()):
            if not name.startswith("_") and callable(thing) and (doc := inspect.getdoc(thing)):
                texts.append(f"{module.__name__}.{name}: {doc.splitlines()[0]}")
    return Embedder().embed(sorted(set(texts)))


def calibrated(vectors: npt.NDArray[np.float32], mode: Mode) -> Database:
    """Quantise rows at a scale near the calibrated one; the golden model's own nits are not used here."""
    scale = float((0.5 if mode == "tanh" else 1.7) / vectors.std())
    return database(coarse(vectors * scale, mode), scale, mode)


def coarse(y: npt.NDArray[Any], mode: Mode) -> npt.NDArray[np.int8]:
    """Some nits for `y`; any will do for a database, since its nits are what defines it."""
    return np.clip(np.rint(4 * np.tanh(y) if mode == "tanh" else y), NIT_MIN, NIT_MAX).astype(np.int8)


def database(nits: npt.NDArray[np.int8], scale: float = 1.0, mode: Mode = "tanh") -> Database:
    rows, dimensions = nits.shape
    return Database({"nits": pack(nits)}, {"rows": rows, "dimensions": dimensions, "scale": scale, "mode": mode})


def nits(rng: np.random.Generator, *shape: int, low: int = NIT_MIN, high: int = NIT_MAX) -> npt.NDArray[np.int8]:
    return rng.integers(low, high + 1, shape, dtype=np.int8)


def clustered(rng: np.random.Generator, nits: npt.NDArray[np.int8], mode: Mode = "linear") -> Database:
    """A database with any centroids, and lists of any length, some of them empty; any will do, as for the nits."""
    plain = database(nits, 1.0, mode)
    rows, dimensions = nits.shape
    lists = np.sort(rng.integers(0, LISTS, rows) // 7 * 7)
    clusters = {
        "order": rng.permutation(rows),
        "starts": np.searchsorted(lists, np.arange(LISTS + 1)),
        "macro": pack(rng.integers(-1, 2, (MACRO_CLUSTERS, dimensions), dtype=np.int8)),
        "micro": pack(rng.integers(-1, 2, (LISTS, dimensions), dtype=np.int8)),
    }
    clusters["order"] = np.concatenate(
        [np.sort(part) for part in np.split(clusters["order"], clusters["starts"][1:-1])]
    )
    return Database({**plain.arrays, **clusters}, {**plain.attributes, "centroid_scale": 1.0})


def mask(rng: np.random.Generator, rows: int, share: float) -> npt.NDArray[np.uint8]:
    """A bit for each row, set for about this share of them."""
    return np.packbits(rng.random(rows) < share, bitorder="little")
