"""The two families of kernels: explicit vectors for processors, and work-groups for GPUs."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from .launcher import Launcher
from .layout import ROWS, byte_words, columns_of, pair_words
from .memory import Out, RowBuffer

if TYPE_CHECKING:
    import pyopencl as cl


__all__ = ["Group", "Kernels", "Vector", "shares"]

#: Queries scored together, if there are as many.
_TOGETHER = 4


class Kernels(Protocol):
    """Family of kernels. Keys sort like results: the score in the high half, the complement of the id in the low.

    Attributes
    ----------
    path : str
        Path in results, e.g. ``"vector kernels on AMD EPYC (Intel(R) OpenCL)"``.
    wanted : int
        Number of shares into which work is divided, if it is enough.
    single : bool
        Whether a work-group has one work-item.
    """

    path: str
    wanted: int
    single: bool

    def mine(self, rows: RowBuffer, nits: npt.NDArray[np.int8], k: int) -> npt.NDArray[np.int64]:
        """Return keys (Q, any) that include the k best rows of each query; LONG_MIN in empty slots."""
        ...

    def scores(self, rows: RowBuffer, nits: npt.NDArray[np.int8]) -> "tuple[cl.Buffer, int]":
        """Return a buffer of all scores, int32 (at least Q, pitch), and the pitch."""
        ...

    def topk(self, scores: npt.NDArray[Any], first: int, k: int) -> npt.NDArray[np.int64]:
        """Return keys (Q, any) that include the k best of each row of int32 or float32 scores (Q, B)."""
        ...


def shares(units: int, wanted: int, least: int) -> tuple[int, int]:
    """Split `units` of work; return the size of a share, at least `least`, and the number of shares."""
    size = max(1, least, -(-units // max(1, wanted)))
    return size, -(-units // size)


def _together(queries: int) -> int:
    return _TOGETHER if queries >= _TOGETHER else 1


class Vector:
    """Kernels with explicit vectors and one work-item per work-group (lists.cl, vector.cl).

    Parameters
    ----------
    launcher : Launcher
        Launcher of the device that runs the kernels.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        # Two shares per processor, so that a processor busy with other work delays the call less.
        self.wanted = 2 * launcher.entry.device.max_compute_units
        self._room = launcher.entry.device.local_mem_size
        self.single = True
        self.path = f"vector kernels on {launcher.entry.name}"

    def fit(self, dimensions: int) -> bool:
        """Return True if the device's local memory holds an unpacked block of rows of `dimensions` nits."""
        return columns_of(dimensions) * 4 * ROWS <= self._room

    def mine(self, rows: RowBuffer, nits: npt.NDArray[np.int8], k: int) -> npt.NDArray[np.int64]:
        """See `Kernels.mine`."""
        together = _together(len(nits))
        queries = pair_words(nits, together)
        groups = len(queries)
        size, count = shares(-(-rows.count // ROWS), self.wanted, -(-max(1024, 8 * k) // ROWS))
        lists = np.empty((count, groups * together, k), np.int64)
        self._launcher.launch(
            self._launcher.kernel(("lists.cl", "vector.cl"), "mine", QUERIES=together),
            (count,),
            (1,),
            *(rows.buffer, np.int32(rows.columns), np.uint32(rows.count), np.uint32(rows.first), np.uint32(size)),
            *(queries, np.int32(groups), np.int32(k), Out(lists), self._tile(rows)),
        )
        return lists.transpose(1, 0, 2).reshape(groups * together, -1)[: len(nits)]

    def scores(self, rows: RowBuffer, nits: npt.NDArray[np.int8]) -> "tuple[cl.Buffer, int]":
        """See `Kernels.scores`."""
        together = _together(len(nits))
        queries = pair_words(nits, together)
        groups, blocks = len(queries), -(-rows.count // ROWS)
        size, count = shares(blocks, self.wanted, 1)
        out = self._launcher.memory.allocate(groups * together * blocks * ROWS * 4)
        self._launcher.launch(
            self._launcher.kernel(("lists.cl", "vector.cl"), "scores", QUERIES=together),
            (count,),
            (1,),
            *(rows.buffer, np.int32(rows.columns), np.uint32(rows.count), np.uint32(size)),
            *(queries, np.int32(groups), out, np.uint64(blocks * ROWS), self._tile(rows)),
        )
        return out, blocks * ROWS

    def topk(self, scores: npt.NDArray[Any], first: int, k: int) -> npt.NDArray[np.int64]:
        """See `Kernels.topk`."""
        queries, columns = scores.shape
        size, count = shares(columns, -(-self.wanted // queries), max(4096, 8 * k))
        lists = np.empty((queries, count, k), np.int64)
        defines = {"FLOATS": 1} if scores.dtype.kind == "f" else {}
        self._launcher.launch(
            self._launcher.kernel(("lists.cl", "topk.cl"), "topk", **defines),
            (count, queries),
            (1, 1),
            *(scores, np.uint32(columns), np.uint32(first), np.uint32(size), np.int32(k), Out(lists)),
        )
        return lists.reshape(queries, -1)

    def _tile(self, rows: RowBuffer) -> "cl.LocalMemory":
        import pyopencl as cl

        return cl.LocalMemory(rows.columns * 4 * ROWS)


class Group:
    """Kernels with work-groups of many work-items and lists in local memory (lists.cl, group.cl).

    Parameters
    ----------
    launcher : Launcher
        Launcher of the device that runs the kernels.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        d = launcher.entry.device
        self._lanes = 1 << min(7, d.max_work_group_size.bit_length() - 1)
        self.wanted = 8 * d.max_compute_units
        self._dot = {"DOT": 1} if "cl_khr_integer_dot_product" in d.extensions.split() else {}
        self.single = False
        self.path = f"group kernels{', integer dot product,' if self._dot else ''} on {launcher.entry.name}"

    def mine(self, rows: RowBuffer, nits: npt.NDArray[np.int8], k: int) -> npt.NDArray[np.int64]:
        """See `Kernels.mine`."""
        together = _together(len(nits))
        queries, offsets = byte_words(nits, together)
        groups, lanes, pairs = len(queries), self._lanes, -(-rows.count // ROWS) * ROWS // 2
        size, count = shares(-(-pairs // lanes), -(-self.wanted // groups), -(-max(512, 2 * k) // lanes))
        lists = np.empty((count, groups * together, k), np.int64)
        self._launcher.launch(
            self._launcher.kernel(("lists.cl", "group.cl"), "mine", QUERIES=together, LANES=lanes, **self._dot),
            (count * lanes, groups),
            (lanes, 1),
            *(rows.buffer, np.int32(rows.columns), np.uint32(rows.count), np.uint32(rows.first), np.uint32(size)),
            *(queries, offsets, np.int32(k), Out(lists), *self._lists(together, k)),
        )
        return lists.transpose(1, 0, 2).reshape(groups * together, -1)[: len(nits)]

    def scores(self, rows: RowBuffer, nits: npt.NDArray[np.int8]) -> "tuple[cl.Buffer, int]":
        """See `Kernels.scores`."""
        together = _together(len(nits))
        queries, offsets = byte_words(nits, together)
        groups, lanes = len(queries), self._lanes
        pairs = -(-rows.count // ROWS) * ROWS // 2
        out = self._launcher.memory.allocate(groups * together * pairs * 8)
        self._launcher.launch(
            self._launcher.kernel(("lists.cl", "group.cl"), "scores", QUERIES=together, LANES=lanes, **self._dot),
            (-(-pairs // lanes) * lanes, groups),
            (lanes, 1),
            *(rows.buffer, np.int32(rows.columns), np.uint32(rows.count)),
            *(queries, offsets, out, np.uint64(pairs * 2)),
        )
        return out, pairs * 2

    def topk(self, scores: npt.NDArray[Any], first: int, k: int) -> npt.NDArray[np.int64]:
        """See `Kernels.topk`."""
        queries, columns = scores.shape
        lanes = self._lanes
        size, count = shares(columns, -(-self.wanted // queries), max(1024, 4 * k))
        lists = np.empty((queries, count, k), np.int64)
        defines = {"FLOATS": 1} if scores.dtype.kind == "f" else {}
        self._launcher.launch(
            self._launcher.kernel(("lists.cl", "topk.cl"), "topk", QUERIES=1, LANES=lanes, **defines),
            (count * lanes, queries),
            (lanes, 1),
            *(scores, np.uint32(columns), np.uint32(first), np.uint32(size), np.int32(k), Out(lists)),
            *self._lists(1, k),
        )
        return lists.reshape(queries, -1)

    def _lists(self, together: int, k: int) -> "tuple[cl.LocalMemory, cl.LocalMemory]":
        import pyopencl as cl

        return cl.LocalMemory(together * k * 8), cl.LocalMemory(together * self._lanes * 8)
