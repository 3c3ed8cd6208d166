"""Momentum memory: new states and rows, and what the host computes from times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import State
from ninefold.spec.errors import InputError
from ninefold.spec.formats import NO_ID
from ninefold.spec.momentum import (
    CLUSTERS_MAX,
    COLD,
    DIMENSIONS_MAX,
    FADE_S,
    HOT,
    MEMORY,
    ROW_DEVIATION,
    SMALLEST_NORMAL,
    WEIGHT,
    check_clock,
)
from ninefold.spec.options import integer
from ninefold.spec.signature import Call

__all__ = [
    "Cleaning",
    "cleaning",
    "cosine",
    "hot",
    "mixed",
    "new_memory",
    "new_rows",
    "next_times",
    "weights",
]

_Floats = npt.NDArray[np.float32]
_Ids = npt.NDArray[np.int64]
_Times = npt.NDArray[np.float64]


def new_memory(name: str, clusters: int = 1024, dimensions: int = 512, *, seed: int = 0) -> State:
    """Return version 0 of a momentum memory.

    Parameters
    ----------
    name : str
        Id of the state.
    clusters : int
        Number of clusters, 1 to 1,048,576.
    dimensions : int
        Dimensions of vectors and rows, 1 to 4,096.
    seed : int
        Seed of new rows, 0 to 2**63 - 1.

    Raises
    ------
    InputError
        A number is out of range.
    """
    for what, value, high in (("clusters", clusters, CLUSTERS_MAX), ("dimensions", dimensions, DIMENSIONS_MAX)):
        if not 1 <= integer(what, value) <= high:
            raise InputError(f"{what} must be 1 to {high}, not {value}")
    arrays = {
        "rows": np.zeros((clusters, dimensions), np.float16),
        "momentum": np.zeros(clusters, np.float32),
        "last": np.zeros(clusters),
        "count": np.zeros(clusters, np.int64),
        "version": np.zeros(clusters, np.int64),
        "clock": np.zeros(1),
    }
    MEMORY.state(name, arrays, {"seed": seed})  # refuses the seed before it is used
    arrays["rows"] = new_rows(seed, dimensions, ((cluster, 0) for cluster in range(clusters)))
    return MEMORY.state(name, arrays, {"seed": seed})


def new_rows(seed: int, dimensions: int, rows: Iterable[tuple[int, int]]) -> npt.NDArray[np.float16]:
    """Return new rows of a memory, float16 (R, D), for pairs of cluster and version.

    A row is a sample of ``numpy.random.Generator(PCG64(SeedSequence([seed, cluster, version])))`` from a normal
    distribution of mean 0 and standard deviation 0.1, in float64, rounded to float16.
    """
    drawn = [
        np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, cluster, version]))).normal(
            0.0, ROW_DEVIATION, dimensions
        )
        for cluster, version in rows
    ]
    return np.array(drawn, np.float64).reshape(-1, dimensions).astype(np.float16)


def weights(clusters: _Ids, times: _Times, last: _Times, count: _Ids) -> _Floats:
    """Return the weight of each vector of a batch, float32 (B,), from the arrays of the memory before the batch."""
    since = times - last[clusters]
    since[count[clusters] == 0] = 0.0
    # Of the vectors of one cluster, each follows the one before it in the batch.
    order = np.argsort(clusters, kind="stable")
    again = np.flatnonzero(clusters[order[1:]] == clusters[order[:-1]])
    since[order[again + 1]] = times[order[again + 1]] - times[order[again]]
    return (WEIGHT * np.exp(-since / FADE_S)).astype(np.float32)


def mixed(row: npt.NDArray[np.float16], vector: _Floats, weight: np.float32) -> npt.NDArray[np.float16]:
    """Return a row (D,) after a vector of that weight."""
    return ((np.float32(1) - weight) * row.astype(np.float32) + weight * vector).astype(np.float16)


def cosine(vector: _Floats, row: npt.NDArray[np.float16]) -> float:
    """Return the cosine of a vector and a row, from -1 to 1; 0 if one of them is zero or has only subnormal numbers."""
    v, m = vector.astype(np.float64), row.astype(np.float64)
    if np.abs(v).max() < SMALLEST_NORMAL or not m.any():
        return 0.0
    return float(np.clip(v @ m / np.sqrt((v @ v) * (m @ m)), -1.0, 1.0))


def next_times(clusters: _Ids, times: _Times, arrays: Any) -> None:
    """Change time of last update, count and clock in place, as a batch that is not empty changes them."""
    arrays["last"][clusters] = times  # of several, the last one counts
    np.add.at(arrays["count"], clusters, 1)
    arrays["clock"][0] = times[-1]


def hot(momentum: _Floats, k: int) -> dict[str, npt.NDArray[Any]]:
    """Return the results of ``dmi_hot``."""
    found = np.flatnonzero(momentum >= np.float32(HOT))
    best = found[np.argsort(-momentum[found], kind="stable")[:k]]
    ids, values = np.full(k, NO_ID, np.int64), np.full(k, -np.inf, np.float32)
    ids[: len(best)], values[: len(best)] = best, momentum[best]
    return {"ids": ids, "momentum": values, "count": np.array(len(best), np.int64)}


@dataclass(frozen=True)
class Cleaning:
    """Changes that a call of ``dmi_clean`` makes.

    Attributes
    ----------
    momentum : float32 array (C,)
        Momentum of all clusters afterwards.
    reset : int64 array (R,)
        Clusters that get a new row, ascending.
    rows : float16 array (R, D)
        Their new rows.
    time : float
        Time of the call in seconds.
    """

    momentum: _Floats
    reset: _Ids
    rows: npt.NDArray[np.float16]
    time: float

    def apply(self, arrays: Any) -> None:
        """Change all arrays of a memory in place but momentum and rows."""
        arrays["last"][self.reset] = 0.0
        arrays["count"][self.reset] = 0
        arrays["version"][self.reset] += 1
        arrays["clock"][0] = self.time


def cleaning(call: Call, seed: int, momentum: _Floats, arrays: Any) -> Cleaning:
    """Return the changes that a call of ``dmi_clean`` makes.

    Parameters
    ----------
    call : Call
        The call; its state may have no arrays.
    seed : int
        Seed of new rows.
    momentum : float32 array (C,)
        Momentum of all clusters.
    arrays : mapping of str to array
        All other arrays of the memory but the rows.

    Raises
    ------
    InputError
        The time is earlier than the memory's clock.
    """
    time = float(call.arguments["time"])
    check_clock(time, float(arrays["clock"][0]))
    age = time - arrays["last"]
    old = np.flatnonzero((arrays["count"] > 0) & (age > call.options["max_age"]))
    after = momentum.copy()
    after[old] *= np.exp(-(age[old] - call.options["max_age"]) / FADE_S).astype(np.float32)
    reset = old[after[old] < np.float32(COLD)]
    after[reset] = 0.0
    versions = zip(reset.tolist(), (arrays["version"][reset] + 1).tolist(), strict=True)
    return Cleaning(after, reset, new_rows(seed, call.sizes["D"], versions), time)
