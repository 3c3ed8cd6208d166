"""Momentum in membranes of the Loihi chip: new states, cosines for them, and their integers in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import State
from ninefold.spec.errors import InputError
from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.membranes import COSINE_ONE, HOT_VOLTAGE, LEAK, LEAK_BITS, MEMBRANES, VOLTAGE_ONE, WEIGHT_UNIT
from ninefold.spec.momentum import CLUSTERS_MAX
from ninefold.spec.operators import OPERATORS
from ninefold.spec.options import integer

from .momentum import cosine, mixed, weights

__all__ = ["Rounds", "cosines", "currents", "hot", "hot_list", "momentum", "new_membranes", "updated"]

_Ids = npt.NDArray[np.int64]
_Voltages = npt.NDArray[np.int32]


def new_membranes(name: str, clusters: int = 1024) -> State:
    """Return version 0 of the membranes of 1 to 1,048,576 clusters, all at zero.

    Raises
    ------
    InputError
        The number of clusters is out of range, or no integer.
    """
    if not 1 <= integer("clusters", clusters) <= CLUSTERS_MAX:
        raise InputError(f"clusters must be 1 to {CLUSTERS_MAX}, not {clusters}")
    return MEMBRANES.state(name, {"voltage": np.zeros(clusters, np.int32)})


def momentum(voltages: _Voltages) -> npt.NDArray[np.float32]:
    """Return the momentum that voltages stand for; the division is exact."""
    return (voltages / np.float64(VOLTAGE_ONE)).astype(np.float32)


def cosines(
    memory: State, clusters: _Ids, vectors: npt.NDArray[np.float32], times: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return the cosine that each update of a batch of ``dmi_update`` adds to the momentum.

    Parameters
    ----------
    memory : State
        Momentum memory before the batch; it is not changed.
    clusters, vectors, times : array
        Arguments of ``dmi_update``.

    Returns
    -------
    float32 array of shape (B,)
        Cosines of the vectors and the rows that they have moved, from -1 to 1.

    Raises
    ------
    InputError
        ``dmi_update`` refuses the arguments.
    """
    arguments = {"clusters": clusters, "vectors": vectors, "times": times}
    OPERATORS["dmi_update"].bind({"state": memory, **arguments})
    rows: dict[int, npt.NDArray[np.float16]] = {}
    found = weights(clusters, times, memory.arrays["last"], memory.arrays["count"])
    made = np.empty(len(clusters), np.float32)
    for at, (cluster, vector, weight) in enumerate(zip(clusters.tolist(), vectors, found, strict=True)):
        rows[cluster] = mixed(rows.get(cluster, memory.arrays["rows"][cluster]), vector, weight)
        made[at] = cosine(vector, rows[cluster])
    return made


def currents(cosines: npt.NDArray[np.float32]) -> _Ids:
    """Return the weights, -6560 to 6560, that cosines add to membranes; a weight of 1 moves a membrane by 64."""
    return np.rint(cosines.astype(np.float64) * COSINE_ONE).astype(np.int64)


class Rounds:
    """Updates of a batch in rounds, such that each cluster has its last update in the last round.

    So a cluster joins at some round, and from then on has an update in each one.

    Parameters
    ----------
    clusters : int64 array (B,)
        Cluster of each update.

    Attributes
    ----------
    count : int
        Number of rounds.
    touched : int64 array (T,)
        Clusters with updates, ascending.
    """

    def __init__(self, clusters: _Ids) -> None:
        self.touched, self._place, counts = np.unique(clusters, return_inverse=True, return_counts=True)
        self.count = int(counts.max(initial=0))
        self._first = self.count - counts
        order = np.argsort(self._place, kind="stable")
        ranks = np.arange(len(clusters)) - np.repeat(np.cumsum(counts) - counts, counts)
        rounds = np.repeat(self._first, counts) + ranks
        by_round = np.argsort(rounds, kind="stable")
        self._updates = np.split(order[by_round], np.searchsorted(rounds[by_round], np.arange(1, self.count)))

    def joining(self, at: int) -> _Ids:
        """Return the places in `touched` of the clusters whose first update is in a round."""
        return np.flatnonzero(self._first == at)

    def updates(self, at: int) -> tuple[_Ids, _Ids]:
        """Return the updates of a round by their places in the batch, and their clusters by places in `touched`."""
        return self._updates[at], self._place[self._updates[at]]


def updated(voltages: _Voltages, clusters: _Ids, cosines: npt.NDArray[np.float32]) -> _Voltages:
    """Return the voltages after a batch of ``membrane_update``."""
    after, rounds, added = voltages.copy(), Rounds(clusters), WEIGHT_UNIT * currents(cosines)
    for at in range(rounds.count):
        updates, places = rounds.updates(at)
        before = after[rounds.touched[places]].astype(np.int64)
        kept = np.abs(before) * ((1 << LEAK_BITS) - LEAK) >> LEAK_BITS
        after[rounds.touched[places]] = np.sign(before) * kept + added[updates]
    return after


def hot(voltages: _Voltages, k: int) -> dict[str, npt.NDArray[Any]]:
    """Return the results of ``membrane_hot``."""
    found = np.flatnonzero(voltages >= HOT_VOLTAGE)
    best = found[np.argsort(-voltages[found], kind="stable")[:k]]
    return hot_list(voltages, best, k)


def hot_list(voltages: _Voltages, best: _Ids, k: int) -> dict[str, npt.NDArray[Any]]:
    """Return the results of ``membrane_hot`` for its clusters in order."""
    ids, values = np.full(k, NO_ID, np.int64), np.full(k, INT32_MIN, np.int32)
    ids[: len(best)], values[: len(best)] = best, voltages[best]
    return {"ids": ids, "voltage": values, "count": np.array(len(best), np.int64)}
