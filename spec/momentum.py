"""Momentum memory: the content of its states, its constants, and checks of clusters and times."""

from __future__ import annotations

from typing import Any, Final

from .errors import InputError
from .layouts import Layout
from .options import Option
from .tensors import Tensor
from .tolerance import Bound

__all__ = [
    "CLUSTERS_MAX",
    "COLD",
    "DECAY",
    "FADE_S",
    "HOT",
    "MEMORY",
    "ROW_DEVIATION",
    "SMALLEST_NORMAL",
    "TIME_MAX",
    "VALUE_MAX",
    "WEIGHT",
    "check_clock",
    "check_clusters",
    "check_times",
]

#: Largest number of clusters and of dimensions of a memory.
CLUSTERS_MAX: Final = 2**20
DIMENSIONS_MAX: Final = 4096
#: Largest magnitude of an element: a mean of such elements rounds to a finite float16 number.
VALUE_MAX: Final = 65504.0
#: Latest time in seconds.
TIME_MAX: Final = 1e15
#: Weight of a vector that arrives at the same time as the one before it.
WEIGHT: Final = 0.05
#: Time constant of weights and of the momentum of old clusters, in seconds.
FADE_S: Final = 300.0
#: Share of the momentum that an update keeps; the cosine has the rest.
DECAY: Final = 0.9
#: Momentum from which a cluster is hot, and below which an old one is reset.
HOT: Final = 0.1
COLD: Final = 0.01
#: Standard deviation of new rows.
ROW_DEVIATION: Final = 0.1
#: A vector without an element of at least this magnitude (the smallest normal float32 number) counts as a zero vector.
SMALLEST_NORMAL: Final = 2.0**-126

_CLOSE = Bound("absolute", 1e-5, "backends add the products of a cosine in different orders")

#: Row c belongs to cluster c.
MEMORY: Final = Layout(
    "memory",
    fields=(
        Tensor("rows", ("C", "D"), ("float16",), -VALUE_MAX, VALUE_MAX, doc="M: weighted means of vectors"),
        Tensor("momentum", ("C",), ("float32",), -1, 1, tolerance=_CLOSE, doc="m: mean cosine of vector and row"),
        Tensor("last", ("C",), ("float64",), 0, TIME_MAX, doc="time of the last update in seconds; 0 before the first"),
        Tensor("count", ("C",), ("int64",), 0, doc="number of updates since the row was new"),
        Tensor("version", ("C",), ("int64",), 0, doc="number of resets of the row"),
        Tensor("clock", (1,), ("float64",), 0, TIME_MAX, doc="latest time of a step in seconds"),
    ),
    attributes=(Option("seed", int, Option.REQUIRED, low=0, high=2**63 - 1, doc="seed of new rows"),),
)


def check_clusters(clusters: Any, count: int) -> None:
    """Raise `InputError` unless all clusters of a non-empty array are below `count` and at least 0."""
    for number in (int(clusters.min()), int(clusters.max())):
        if not 0 <= number < count:
            raise InputError(f"clusters must be 0 to {count - 1}, not {number}")


def check_times(times: Any) -> None:
    """Raise `InputError` if a time of a batch is earlier than the one before it."""
    backwards = times[1:] < times[:-1]
    if backwards.any():
        at = int(backwards.argmax())
        raise InputError(f"times must run forward, but {times[at + 1]} follows {times[at]}")


def check_clock(time: float, clock: float) -> None:
    """Raise `InputError` if the first time of a step is earlier than the latest time of the steps before."""
    if time < clock:
        raise InputError(f"time must be at least {clock}, the latest time of the memory, not {time}")
