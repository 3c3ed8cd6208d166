"""Shards of segments, and the nodes that hold their copies: rendezvous hashing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["SHARD_ROWS", "Shard", "ranked_nodes", "shards_of"]

#: Most rows of a shard: 48 MiB of nits at 384 dimensions.
SHARD_ROWS: Final = 1 << 18


@dataclass(frozen=True, order=True)
class Shard:
    """Rows `first` to `last` - 1 of a segment.

    Attributes
    ----------
    segment : str
        Digest of the segment.
    first, last : int
    """

    segment: str
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def __str__(self) -> str:
        return f"rows {self.first:,} to {self.last - 1:,} of segment {self.segment[:12]}"


def shards_of(segment: str, rows: int, most: int = SHARD_ROWS) -> list[Shard]:
    """Divide a segment into shards of at most `most` rows, whose sizes differ by one row at most."""
    edges = np.linspace(0, rows, -(-rows // most) + 1).astype(np.int64).tolist()
    return [Shard(segment, first, last) for first, last in pairwise(edges)]


def ranked_nodes(shards: Sequence[Shard], nodes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the nodes in the order in which they should hold each shard.

    Each pair of a shard and a node has a weight of its own, so a node that leaves or joins moves only its own shards,
    and a lost node's shards spread over all others.

    Parameters
    ----------
    shards : sequence of Shard
    nodes : sequence of str

    Returns
    -------
    int64 array of shape (len(shards), len(nodes))
        Numbers of the nodes, the first choice first.
    """
    weights = _mixed(_keys([f"{one.segment}:{one.first}" for one in shards])[:, None] ^ _keys(nodes)[None, :])
    order: npt.NDArray[np.int64] = np.argsort(weights, axis=1, kind="stable")[:, ::-1]
    return order


def _keys(names: Sequence[str]) -> npt.NDArray[np.uint64]:
    return np.array([int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) for name in names], np.uint64)


def _mixed(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return uniformly distributed numbers for distinct keys, by the finaliser of SplitMix64."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
