"""Families of our searches in the benchmark, each with settings from the cheapest to the most thorough."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ninefold.host.clustering import cluster
from ninefold.spec.data import Database

from .data import Dataset

__all__ = ["FAMILIES", "Clustered", "Family"]

#: Multiples of k that the float vectors rescore after a scan of nits; k times the last one is within the largest k.
_FACTORS = (1, 2, 4, 8, 16, 25)
#: Multiple of k that they rescore after a scan of signs: enough for a search without loss.
_RERANK = 4
#: Multiples of these rows that the scan of signs keeps.
_OVERSAMPLES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32)
#: Clusters that are searched, each with all its lists, so that the rows of a cluster are one range.
_CLUSTERS = (2, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56)
_LISTS = 16
#: Multiple that the scan of signs keeps in clusters.
_OVERSAMPLE = 6


@dataclass(frozen=True)
class Family:
    """Search of ours that is tuned to a recall.

    Attributes
    ----------
    suffix : str
        End of its name, which begins with the device.
    settings : mapping of str to mapping
        Options of ``mine`` by the words for them, in order of growing recall.
    clustered : bool
        True if it searches a clustered database.
    """

    suffix: str
    settings: Mapping[str, Mapping[str, Any]]
    clustered: bool = False


class Clustered:
    """Database of a dataset with clusters.

    Attributes
    ----------
    database : Database
        The database.
    seconds : float
        Time of clustering.
    """

    def __init__(self, data: Dataset) -> None:
        start, attributes = time.perf_counter(), data.database.attributes
        made = cluster(data.vectors, mode=attributes["mode"])  # type: ignore[arg-type]
        self.seconds = time.perf_counter() - start
        self.database = Database({**data.database.arrays, **made.arrays}, {**attributes, "centroid_scale": made.scale})


def _signs(oversample: int) -> dict[str, Any]:
    return {"scan": "signs", "rerank": _RERANK, "oversample": oversample}


FAMILIES: Final = (
    Family(", reranked", {f"rerank {factor}": {"rerank": factor} for factor in _FACTORS}),
    Family(
        ", signs",
        {f"rerank {_RERANK}, oversample {oversample}": _signs(oversample) for oversample in _OVERSAMPLES},
    ),
    Family(
        ", signs in clusters",
        {
            f"macro {number}, micro {_LISTS}, rerank {_RERANK}, oversample {_OVERSAMPLE}": {
                **_signs(_OVERSAMPLE),
                "macro": number,
                "micro": _LISTS,
            }
            for number in _CLUSTERS
        },
        clustered=True,
    ),
)
