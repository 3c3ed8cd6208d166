"""Data of the search benchmark: given vectors, or embeddings of Python's standard library and their copies."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.host.index import Index
from ninefold.host.index.generations import calibrated_scale
from ninefold.host.index.manifest import MANIFEST
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources.vectors import check_rows, claims, load
from ninefold.numerics.nits import pack
from ninefold.numerics.quantise import quantise
from ninefold.spec.benchmark import Request
from ninefold.spec.data import Database
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.formats import Mode

__all__ = ["Base", "Dataset", "base", "bytes_needed", "dataset", "in_order", "recall"]

#: Number of exact nearest rows that recall counts.
K: Final = 10
_SEED = 9
#: Noise added to copies of a row, relative to its length. A copy then has a cosine of about 0.96 to its original, like
#: near neighbours of these texts.
_NOISE = 0.3
#: Scale for seeded normal data, in multiples of the inverse standard deviation: sentence embeddings calibrate to it.
_SIGMAS = 0.5
_DIMENSIONS = 384
_BLOCK = 8192
#: Memory of the databases of all peers together: seven in float32, others in 16, 8 and 4 bits, and graphs.
_BYTES_A_DIMENSION, _BYTES_A_ROW = 42, 3072


@dataclass(frozen=True)
class Base:
    """Vectors from which databases are made.

    Attributes
    ----------
    name : str
        Name of the data.
    vectors : float32 array of shape (N, D)
        Rows; of unit length if they are embeddings.
    queries : float32 array of shape (Q, D)
        Rows that were removed from the data to serve as queries.
    scale, mode : float, str
        Parameters of the quantiser.
    real : bool
        True if the vectors are real data and not random.
    """

    name: str
    vectors: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    scale: float
    mode: Mode
    real: bool


@dataclass(frozen=True)
class Dataset:
    """Database with queries and their exact answers.

    Attributes
    ----------
    name : str
        Name of the data.
    vectors : float32 array of shape (N, D)
        Rows.
    queries : float32 array of shape (Q, D)
        Queries, none of which is a row.
    truth : int64 array of shape (Q, 10)
        Rows with the largest float32 dot products, unordered.
    nits : int8 array of shape (N, D)
        Quantised rows.
    database : Database
        Packed nits, with float16 vectors for reranking.
    real : bool
        True if all rows are real data.
    seconds : float
        Time of quantising and packing the rows.
    """

    name: str
    vectors: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    nits: npt.NDArray[np.int8]
    database: Database
    real: bool
    seconds: float


def base(request: Request, queries: int) -> Base:
    """Return the requested vectors, or the demo's embeddings of Python's standard library, or seeded normal numbers.

    Parameters
    ----------
    request : Request
        `Request.data` names the vectors; without it and without the demo's index, a note tells that they are random.
    queries : int
        Number of rows to remove and use as queries.

    Raises
    ------
    InputError
        The vectors are missing or are fewer than twice the queries.
    """
    if request.data:
        return _given(_in_folder(request.data), queries)
    name = f"stdlib-{sys.version_info.major}.{sys.version_info.minor}"
    rng = np.random.default_rng(_SEED)
    try:
        index = Index.open(name)
        vectors = index.vectors.astype(np.float32)
    except (InputError, DamagedDataError) as error:
        request.note(f"the data are seeded random numbers, whose recall is meaningless: {error}; run ninefold demo")
        vectors = rng.standard_normal((10 * queries + 1000, _DIMENSIONS), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        scale = _SIGMAS * math.sqrt(_DIMENSIONS)
        return Base("normal", vectors[queries:], vectors[:queries], scale, "tanh", real=False)
    return _divided(name, vectors, float(index.database.attributes["scale"]), index.generation.mode, queries)


def _in_folder(source: str) -> str:
    """Return the only file of vectors in a folder that is not an index; other names stay."""
    folder = Path(source)
    if "/" not in source or not folder.is_dir() or (folder / MANIFEST).is_file():
        return source
    found = sorted(str(path) for path in folder.iterdir() if claims(path.name))
    if len(found) != 1:
        raise InputError(f"{source} must hold one .npy file of vectors, not {len(found)}")
    return found[0]


def _given(source: str, queries: int) -> Base:
    """Return the vectors of a ``.npy`` file, with a calibrated scale, or of an index."""
    if not claims(source):
        index = Index.open(source)
        scale = float(index.database.attributes["scale"])
        return _divided(Path(source).name, index.vectors.astype(np.float32), scale, index.generation.mode, queries)
    rows = load(source)
    if rows.ndim != 2:
        raise InputError(f"{source} must have shape (N, D), not {rows.shape}")
    vectors = check_rows(rows, source)
    with Scheduler() as scheduler:
        scale = calibrated_scale(scheduler, vectors, "tanh", source)
    return _divided(Path(source).stem, vectors, scale, "tanh", queries)


def _divided(name: str, vectors: npt.NDArray[np.float32], scale: float, mode: str, queries: int) -> Base:
    """Remove random rows to serve as queries."""
    if len(vectors) < 2 * queries:
        raise InputError(
            f"{name} must have at least {2 * queries:,} rows for {queries:,} queries, not {len(vectors):,}"
        )
    order = np.random.default_rng(_SEED).permutation(len(vectors))
    rest, taken = vectors[order[queries:]], vectors[order[:queries]]
    return Base(name, rest, taken, scale, mode, real=True)  # type: ignore[arg-type]


def in_order(request: Request) -> tuple[str, npt.NDArray[np.float32]]:
    """Return the name of the requested vectors, and all of them in their order; without data as `base` does."""
    if not request.data:
        of = base(request, 100)
        return of.name, np.concatenate([of.vectors, of.queries])
    source = _in_folder(request.data)
    if claims(source):
        return Path(source).stem, check_rows(load(source), source)
    with Index.open(source) as index:
        return Path(source).name, index.vectors.astype(np.float32)


def dataset(of: Base, rows: int) -> Dataset:
    """Return a database of the first `rows` rows, followed by copies with noise if there are too few.

    The name of the data states which: copies with noise enlarge a database without new content.
    """
    if rows <= len(of.vectors):
        vectors = of.vectors[:rows]
        name = f"{of.name}, {'real' if of.real else 'seeded'}"
    else:
        vectors = of.vectors[np.arange(rows) % len(of.vectors)]
        rng = np.random.default_rng(_SEED + 1)
        for first in range(len(of.vectors), rows, _BLOCK):
            block = vectors[first : first + _BLOCK]
            lengths = np.linalg.norm(block, axis=1, keepdims=True)
            noise = rng.standard_normal(block.shape, np.float32)
            block += noise * (_NOISE * lengths / np.sqrt(np.float32(block.shape[1])))
            block *= lengths / np.linalg.norm(block, axis=1, keepdims=True)
        name = f"{of.name}, tiled with noise"
    start = time.perf_counter()
    nits = np.concatenate([quantise(vectors[i : i + _BLOCK], of.scale, of.mode) for i in range(0, rows, _BLOCK)])
    attributes: dict[str, int | float | str] = {
        "rows": rows,
        "dimensions": vectors.shape[1],
        "scale": of.scale,
        "mode": of.mode,
    }
    packed = pack(nits)
    seconds = time.perf_counter() - start
    database = Database({"nits": packed, "vectors": vectors.astype(np.float16)}, attributes)
    real = of.real and rows <= len(of.vectors)
    return Dataset(name, vectors, of.queries, _exact(of.queries, vectors), nits, database, real, seconds)


def bytes_needed(rows: int, dimensions: int = _DIMENSIONS) -> int:
    """Estimate the memory that it takes to measure a search of `rows` rows with all peers."""
    return rows * (dimensions * _BYTES_A_DIMENSION + _BYTES_A_ROW)


def recall(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    """Return the share of the exact nearest rows that a search found.

    Parameters
    ----------
    found, truth : int64 array of shape (Q, K)
        Rows in any order; -1 for none.
    """
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
    return hits / truth.size


def _exact(queries: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the rows with the largest dot products, selected block by block."""
    ids = np.zeros((len(queries), 0), np.int64)
    scores = np.zeros((len(queries), 0), np.float32)
    for first in range(0, len(vectors), _BLOCK):
        block = vectors[first : first + _BLOCK]
        numbers = np.broadcast_to(np.arange(first, first + len(block)), (len(queries), len(block)))
        ids = np.concatenate([ids, numbers], axis=1)
        scores = np.concatenate([scores, queries @ block.T], axis=1)
        if scores.shape[1] > K:
            kept = np.argpartition(-scores, K - 1, axis=1)[:, :K]
            ids, scores = np.take_along_axis(ids, kept, 1), np.take_along_axis(scores, kept, 1)
    return ids
