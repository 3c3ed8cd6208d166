"""Messages between the coordinator and its nodes, apart from how they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Result
from ninefold.spec.errors import NinefoldError

from .placement import Shard

__all__ = ["About", "Asked", "Behind", "LostNodeError", "Node", "Nodes", "Request"]

_Mask = npt.NDArray[np.uint8]


class LostNodeError(NinefoldError):
    """A node has ended, or can no longer be reached."""


@dataclass(frozen=True)
class Asked:
    """Shard to search.

    Attributes
    ----------
    shard : Shard
    row : int
        Number of its first row among the rows of all parts, by which results are numbered and ties are broken.
    deletions : str
        Version of the deletions: SHA-256 of the mask of live rows; empty if all are live.
    allowed : uint8 array of shape (ceil(rows / 8),) or None
        Rows that may be returned, as ``mine`` takes them, without the dead ones; None for all live rows.
    """

    shard: Shard
    row: int
    deletions: str = ""
    allowed: _Mask | None = None


@dataclass(frozen=True)
class Request:
    """First stage of a search, on the shards of one node.

    Attributes
    ----------
    generation : int
        Generation of the nits.
    operator : str
        ``mine`` or ``candidates``.
    options : mapping of str to object
    q : float32 array of shape (Q, D)
    device, strict : str, bool
        As in `Task`.
    shards : tuple of Asked
    masks : mapping of str to uint8 array
        Masks of live rows by their version, for a node that lacks them.
    """

    generation: int
    operator: str
    options: Mapping[str, Any]
    q: npt.NDArray[np.float32]
    device: str
    strict: bool
    shards: tuple[Asked, ...] = ()
    masks: Mapping[str, _Mask] = field(default_factory=dict)


@dataclass(frozen=True)
class Behind:
    """Refusal of a node that does not have what a request names.

    Attributes
    ----------
    shards : tuple of Shard
        Shards that it does not hold, or holds of another generation.
    deletions : tuple of str
        Versions of deletions that it does not know.
    """

    shards: tuple[Shard, ...]
    deletions: tuple[str, ...]


@dataclass(frozen=True)
class About:
    """Versions and devices of a node, by which the coordinator accepts it.

    Attributes
    ----------
    versions : mapping of str to str
        Version of Python and of each package that must be the same everywhere.
    devices : tuple of str
        Devices found.
    """

    versions: Mapping[str, str]
    devices: tuple[str, ...]


class Node(Protocol):
    """Node as the coordinator reaches it. An object is one life of it: a node that starts again is another object."""

    @property
    def name(self) -> str:
        """Name, the same for all lives."""

    def hold(self, shard: Shard, generation: int, content: Mapping[str, Any], about: Mapping[str, Any]) -> Future[str]:
        """Send a copy of a shard: its arrays and attributes. The node returns their digest."""

    def drop(self, shards: tuple[Shard, ...]) -> Future[None]:
        """Forget shards."""

    def search(self, request: Request) -> Future[Result | Behind]:
        """Search shards; ids of the result are rows of all parts.

        The future of any method raises `LostNodeError` if the node has ended.
        """


class Nodes(Protocol):
    """Nodes that can be reached now."""

    def found(self) -> Mapping[str, Node]:
        """Return the nodes by name."""
