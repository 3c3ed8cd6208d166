"""Inserts of points into a `PatchGrid` beside sorted arrays and ``sortedcontainers``, part of the suite ``waves``."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.structures import PatchGrid
from ninefold.host.structures.curve import index_of
from ninefold.spec.benchmark import Better, Figure, Parameter, Request, Size, summary
from ninefold.spec.errors import DeviceError
from ninefold.spec.progress import step

__all__ = ["grid_figures"]

_CASE: Final = "insert into a grid"
_DIMENSIONS, _BITS, _SEED = 3, 21, 9
#: Points of the grid, rounds, and points inserted in each round.
_PLANS: Final[Mapping[Size, tuple[int, int, int]]] = {
    "tiny": (30_000, 3, 20),
    "small": (1_000_000, 20, 250),
    "large": (10_000_000, 40, 500),
}
_OURS, _ARRAY, _IN_PLACE, _LIST = "PatchGrid", "sorted array", "sorted array with room", "sortedcontainers"
#: Seconds between two reads of the thread that reads while points are inserted, and indices of each read.
_PAUSE_S: Final = 0.01
_READ: Final = 1 << 50

_Insert = Callable[[Sequence[int], int], None]


def grid_figures(request: Request) -> list[Figure]:
    """Measure single inserts, each timed, of contenders that take turns; then with a reader on another thread."""
    number, rounds, each = _PLANS[request.size]
    random = np.random.default_rng(_SEED)
    points = random.integers(0, 1 << _BITS, (number, _DIMENSIONS), np.uint64)
    grid = PatchGrid(_DIMENSIONS, _BITS)
    with step(f"sorting {number:,} points along the Hilbert curve"):
        grid.extend(points, np.arange(number))
    index, values = grid.snapshot().index, grid.snapshot().values
    contenders: dict[str, _Insert] = {_OURS: grid.insert, _IN_PLACE: _InPlace(index, values, rounds).insert}
    contenders[_ARRAY] = _Array(index, values).insert
    if importlib.util.find_spec("sortedcontainers") is None:
        request.note("waves: sortedcontainers is skipped: it is not installed; pip install sortedcontainers")
    else:
        contenders[_LIST] = _sorted_list(index)
    del index, values
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    with step(f"inserting into {number:,} points"):
        for _ in range(rounds):
            new = random.integers(0, 1 << _BITS, (each, _DIMENSIONS)).tolist()
            for name, insert in contenders.items():
                # One insert of an array takes as long as all of a grid.
                many = name in (_OURS, _LIST)
                # The first inserts find caches filled by the contender before; their times are not kept.
                seconds[name] += _timed(insert, new if many else new[:1])[each // 10 if many else 0 :]
    parameters: dict[str, Parameter] = {"points": number}
    figures = _figures(seconds, parameters, aimed=request.size == "large")
    with step(f"inserting into {number:,} points while a thread reads"):
        busy = _while_reading(grid, random.integers(0, 1 << _BITS, (rounds * each, _DIMENSIONS)).tolist())
    figures.append(_us(_OURS, "time while a thread reads", busy, parameters))
    figures.append(_p99(_OURS, busy, "p99 / p50 while a thread reads", parameters))
    return figures


def _timed(insert: _Insert, points: Sequence[Sequence[int]]) -> list[float]:
    seconds = []
    for value, point in enumerate(points):
        start = time.perf_counter()
        insert(point, value)
        seconds.append(time.perf_counter() - start)
    return seconds


class _Array:
    """Sorted arrays that each insert copies, as ``numpy.insert`` does."""

    def __init__(self, index: npt.NDArray[np.uint64], values: npt.NDArray[np.int64]) -> None:
        self._index, self._values = index, values

    def insert(self, point: Sequence[int], value: int) -> None:
        """Insert a point."""
        index = np.uint64(index_of(point, _BITS))
        where = int(self._index.searchsorted(index, "right"))
        self._index = np.insert(self._index, where, index)
        self._values = np.insert(self._values, where, value)


class _InPlace:
    """Sorted arrays with room at their end; an insert moves all that follows it."""

    def __init__(self, index: npt.NDArray[np.uint64], values: npt.NDArray[np.int64], room: int) -> None:
        self._count = len(index)
        self._index, self._values = (np.concatenate([array, np.zeros(room, array.dtype)]) for array in (index, values))

    def insert(self, point: Sequence[int], value: int) -> None:
        """Insert a point."""
        index, count = np.uint64(index_of(point, _BITS)), self._count
        where = int(self._index[:count].searchsorted(index, "right"))
        new: tuple[tuple[npt.NDArray[Any], Any], ...] = ((self._index, index), (self._values, value))
        for array, number in new:
            array[where + 1 : count + 1] = array[where:count]
            array[where] = number
        self._count += 1


def _sorted_list(index: npt.NDArray[np.uint64]) -> _Insert:
    """Return the insert of a `SortedList` of indices alone, without values, which would each be another object."""
    from sortedcontainers import SortedList

    made = SortedList(index.tolist())
    return lambda point, _: made.add(index_of(point, _BITS))


def _while_reading(grid: PatchGrid, points: Sequence[Sequence[int]]) -> list[float]:
    """Return the time of each insert while a thread takes snapshots, reads them and checks their order."""
    ended, wrong = threading.Event(), []

    def read() -> None:
        random = np.random.default_rng(_SEED)
        while not ended.wait(_PAUSE_S):
            first = int(random.integers(0, 1 << _DIMENSIONS * _BITS) - _READ)
            index, _ = grid.snapshot().between(max(0, first), max(0, first) + _READ)
            if (index[1:] < index[:-1]).any():
                wrong.append(first)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        seconds = _timed(grid.insert, points)
    finally:
        ended.set()
        reader.join()
    if wrong:
        raise DeviceError(f"a snapshot of the grid was out of order from index {wrong[0]}")
    return seconds


def _figures(
    seconds: Mapping[str, Sequence[float]], parameters: Mapping[str, Parameter], *, aimed: bool
) -> list[Figure]:
    """Return the times beside each peer. The targets are for ten million points."""
    ours, figures = seconds[_OURS], []
    for peer in (name for name in seconds if name != _OURS):
        figures.append(
            _us(
                _OURS,
                f"time beside {peer}",
                ours,
                parameters,
                better="less",
                beside=peer,
                ratio=summary(ours)[0] / summary(seconds[peer])[0],
                target="<= 0.001" if aimed and peer == _ARRAY else "",
                task=f"insert of a point into {parameters['points']:,}",
            )
        )
    figures.append(_p99(_OURS, ours, "p99 / p50", parameters, "<= 3" if aimed else ""))
    if _LIST in seconds:
        figures.append(_p99(_LIST, seconds[_LIST], "p99 / p50", parameters))
    figures += [_us(peer, "time", seconds[peer], parameters) for peer in seconds if peer != _OURS]
    return figures


def _us(
    subject: str, quantity: str, seconds: Sequence[float], parameters: Mapping[str, Parameter], **more: Any
) -> Figure:
    return Figure.timed(_CASE, subject, quantity, [one * 1e6 for one in seconds], "µs", parameters=parameters, **more)


def _p99(
    subject: str, seconds: Sequence[float], quantity: str, parameters: Mapping[str, Parameter], target: str = ""
) -> Figure:
    """Return the ratio of the 99th percentile to the median, which another load of the machine raises."""
    high, middle = sorted(seconds)[int(0.99 * (len(seconds) - 1))], summary(seconds)[0]
    detail = f"p50 {middle * 1e6:.1f} µs, p99 {high * 1e6:.1f} µs"
    better: Better = "less" if subject == _OURS else ""
    return Figure(_CASE, subject, quantity, high / middle, "", parameters, better=better, target=target, detail=detail)
