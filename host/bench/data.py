"""What searches are measured on: embeddings of Python's standard library, and larger sets made from them."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.host.index import Index
from ninefold.host.nits import pack
from ninefold.host.quantise import quantise
from ninefold.spec.benchmark import Request
from ninefold.spec.data import Database
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.formats import Mode

__all__ = ["Base", "Dataset", "base", "bytes_needed", "dataset", "recall"]

#: How many of the exact nearest count.
K: Final = 10
_SEED = 9
#: Added to copies of a row, in lengths of a row: a copy then has a cosine of about 0.96 to its original, as near
#: neighbours of these texts have.
_NOISE = 0.3
#: Of seeded normal data: what sentence embeddings calibrate to, in multiples of one through their standard deviation.
_SIGMAS = 0.5
_DIMENSIONS = 384
_BLOCK = 8192
#: Of a row, in the databases of all peers together: four in float32, others in 8 and 4 bits, and what lies around.
_BYTES_A_DIMENSION, _BYTES_A_ROW = 26, 2048


@dataclass(frozen=True)
class Base:
    """Vectors that databases are made from.

    Attributes
    ----------
    name : str
        What they are.
    vectors : float32 array of shape (N, D)
        Unit length where they are embeddings.
    queries : float32 array of shape (Q, D)
        Taken out of them.
    scale, mode : float, str
        Of the quantiser.
    real : bool
        Whether they are embeddings of texts.
    """

    name: str
    vectors: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    scale: float
    mode: Mode
    real: bool


@dataclass(frozen=True)
class Dataset:
    """A database, what is asked of it, and the answer.

    Attributes
    ----------
    name : str
        What the data is.
    vectors : float32 array of shape (N, D)
        The rows.
    queries : float32 array of shape (Q, D)
        None of them is a row.
    truth : int64 array of shape (Q, 10)
        The rows with the largest float32 dot products, in no order.
    nits : int8 array of shape (N, D)
        The rows, quantised.
    database : Database
        The same, packed, with the vectors in float16 to rerank with.
    real : bool
        Whether all rows are embeddings of something.
    """

    name: str
    vectors: npt.NDArray[np.float32]
    queries: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    nits: npt.NDArray[np.int8]
    database: Database
    real: bool


def base(request: Request, queries: int) -> Base:
    """Return the embeddings of Python's standard library that the demo indexes, or normal numbers without them.

    Parameters
    ----------
    request : Request
        Its note says which, and why.
    queries : int
        How many rows are taken out, to be searched for.
    """
    name = f"stdlib-{sys.version_info.major}.{sys.version_info.minor}"
    rng = np.random.default_rng(_SEED)
    try:
        index = Index.open(name)
        vectors = index.vectors.astype(np.float32)
    except (InputError, DamagedDataError) as error:
        request.note(f"seeded normal numbers instead of embeddings, which have no meaning: {error}; run ninefold demo")
        vectors = rng.standard_normal((10 * queries + 1000, _DIMENSIONS), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        scale = _SIGMAS * math.sqrt(_DIMENSIONS)
        return Base("normal", vectors[queries:], vectors[:queries], scale, "tanh", real=False)
    order = rng.permutation(len(vectors))
    if len(vectors) < 2 * queries:
        raise InputError(f"the index {name} has {len(vectors)} rows, too few to take {queries} out")
    scale = float(index.database.attributes["scale"])
    rest, taken = vectors[order[queries:]], vectors[order[:queries]]
    return Base(name, rest, taken, scale, index.manifest.mode, real=True)  # type: ignore[arg-type]


def dataset(of: Base, rows: int) -> Dataset:
    """Return a database of so many rows: the first ones, or all and then copies with noise.

    A name says which: copies with noise are as many as they are large, and mean nothing new.
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
    nits = np.concatenate([quantise(vectors[i : i + _BLOCK], of.scale, of.mode) for i in range(0, rows, _BLOCK)])
    attributes: dict[str, int | float | str] = {
        "rows": rows,
        "dimensions": vectors.shape[1],
        "scale": of.scale,
        "mode": of.mode,
    }
    database = Database({"nits": pack(nits), "vectors": vectors.astype(np.float16)}, attributes)
    real = of.real and rows <= len(of.vectors)
    return Dataset(name, vectors, of.queries, _exact(of.queries, vectors), nits, database, real)


def bytes_needed(rows: int, dimensions: int = _DIMENSIONS) -> int:
    """Return about how much memory it takes to measure a search of so many rows with all peers."""
    return rows * (dimensions * _BYTES_A_DIMENSION + _BYTES_A_ROW)


def recall(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    """Return the share of the exact nearest that was found.

    Parameters
    ----------
    found, truth : int64 array of shape (Q, K)
        Rows, in any order; -1 for none.
    """
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
    return hits / truth.size


def _exact(queries: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the rows with the largest dot products, kept while the database goes by in blocks."""
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
