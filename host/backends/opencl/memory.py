"""Memory of a device: buffers of residents and of single calls."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Database, State, flattened
from ninefold.spec.errors import UnsupportedError

from .failures import guarded
from .layout import BLOCK_BYTES, ROWS, SIGN_BYTES, SIGN_ROWS, row_words, sign_words

if TYPE_CHECKING:
    import pyopencl as cl

    from .platforms import DeviceEntry

__all__ = ["ROWS_MAX", "Memory", "Out", "RowBuffer", "StateForm"]

#: Largest number of rows: a row's number takes 32 bits of a key, and one value marks an empty slot.
ROWS_MAX = 2**32 - 2
#: Bytes arranged and copied together, so that a memory-mapped database is never entirely in the host's memory.
_PIECE_BYTES = 1 << 24


@dataclass(frozen=True)
class RowBuffer:
    """Consecutive rows in one buffer, in the layout of `layout.row_words` or `layout.sign_words`.

    Attributes
    ----------
    buffer : pyopencl.Buffer
        Buffer of the words.
    columns : int
        Number of columns of a row.
    first, count : int
        Number of the first row, and number of rows.
    """

    buffer: "cl.Buffer"
    columns: int
    first: int
    count: int


@dataclass(frozen=True)
class StateForm:
    """State that steps change in place.

    Attributes
    ----------
    buffers : dict of str to pyopencl.Buffer
        Arrays on the device, by name.
    shapes : dict of str to (tuple of int, dtype)
        Shape and dtype of each array on the device.
    mirrors : dict of str to array
        Arrays that the host keeps, because it computes with them before a step.
    attributes : mapping
        Attributes of the state.
    """

    buffers: "dict[str, cl.Buffer]"
    shapes: dict[str, tuple[tuple[int, ...], Any]]
    mirrors: dict[str, npt.NDArray[Any]]
    attributes: Mapping[str, int | float | str]


@dataclass(frozen=True)
class Out:
    """Argument of a kernel that is read back into an array of the host."""

    array: npt.NDArray[Any]


class Memory:
    """Memory of one opened device.

    Parameters
    ----------
    name : str
        Name of the device, for errors.
    entry : DeviceEntry
        The device.
    context, queue
        Context and queue of pyopencl.
    """

    def __init__(self, name: str, entry: "DeviceEntry", context: "cl.Context", queue: "cl.CommandQueue") -> None:
        self._name = name
        self._context, self._queue = context, queue
        self._largest = entry.device.max_mem_alloc_size
        self._held: list[cl.Buffer] = []
        self.capacity_bytes: int = entry.device.global_mem_size

    @property
    def resident_bytes(self) -> int:
        """Bytes of all residents on the device."""
        return sum(buffer.size for buffer in self._held)

    def load(self, resident: Database | State) -> "dict[str, cl.Buffer | None]":
        """Copy every array of a resident to the device as it is, and return the buffers by name; None for no elements.

        The buffers of a ragged array are ``NAME.values`` and ``NAME.offsets``.

        Raises
        ------
        UnsupportedError
            The arrays do not fit; the message gives the numbers.
        """
        arrays = {name: np.asarray(array) for name, array in flattened(resident.arrays).items()}
        self._check(sum(array.nbytes for array in arrays.values()), ", ".join(arrays))
        made: dict[str, cl.Buffer | None] = {}
        try:
            for name, array in arrays.items():
                made[name] = self._keep(self.put(array)) if array.size else None
        except BaseException:
            self.free(made)
            raise
        return made

    def load_state(self, state: State, mirrored: tuple[str, ...]) -> StateForm:
        """Copy a state, whose arrays are not empty, for steps that change it in place.

        Parameters
        ----------
        state : State
            Version to copy.
        mirrored : tuple of str
            Names of the arrays that stay with the host; the others go to the device.

        Raises
        ------
        UnsupportedError
            The arrays do not fit; the message gives the numbers.
        """
        arrays = {name: np.asarray(array) for name, array in state.arrays.items()}
        mirrors = {name: arrays.pop(name).copy() for name in mirrored}
        self._check(sum(array.nbytes for array in arrays.values()), ", ".join(arrays))
        shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        form = StateForm({}, shapes, mirrors, state.attributes)
        try:
            for name, array in arrays.items():
                form.buffers[name] = self._keep(self.put(array, writable=True))
        except BaseException:
            self.free(form)
            raise
        return form

    def fetch(self, form: StateForm) -> dict[str, npt.NDArray[Any]]:
        """Return copies of all arrays of a state."""
        copies = {name: array.copy() for name, array in form.mirrors.items()}
        return copies | {name: self.fetch_array(form, name) for name in form.buffers}

    def fetch_array(self, form: StateForm, name: str) -> npt.NDArray[Any]:
        """Return a copy of one array of a state, which is on the device."""
        import pyopencl as cl

        array: npt.NDArray[Any] = np.empty(*form.shapes[name])
        with guarded(self._name, f"reading {array.nbytes:,} bytes"):
            cl.enqueue_copy(self._queue, array, form.buffers[name])
        return array

    def replace_rows(self, form: StateForm, name: str, first: int, rows: npt.NDArray[Any]) -> None:
        """Overwrite consecutive rows of an array of a state, which is on the device."""
        import pyopencl as cl

        shape, dtype = form.shapes[name]
        at = first * math.prod(shape[1:]) * np.dtype(dtype).itemsize
        with guarded(self._name, f"writing {rows.nbytes:,} bytes"):
            cl.enqueue_copy(self._queue, form.buffers[name], np.ascontiguousarray(rows), dst_offset=at)

    def load_rows(self, packed: npt.NDArray[np.uint8]) -> list[RowBuffer]:
        """Copy rows of packed nits to the device in its own layout, in as few buffers as it allows.

        Raises
        ------
        UnsupportedError
            The rows do not fit; the message gives the numbers.
        """
        return self._upload(packed, -(-packed.shape[1] // 2), ROWS, BLOCK_BYTES, row_words)

    def load_signs(self, plane: npt.NDArray[np.uint8]) -> list[RowBuffer]:
        """Copy the sign bits of rows, as `sign_plane` returns them, like `load_rows`; a column is a word."""
        return self._upload(plane, -(-plane.shape[1] // 8), SIGN_ROWS, SIGN_BYTES, sign_words)

    def free(self, form: "list[RowBuffer] | dict[str, cl.Buffer | None] | StateForm") -> None:
        """Free the result of `load`, `load_state`, `load_rows` or `load_signs`."""
        if isinstance(form, StateForm):
            form = dict(form.buffers)
        for buffer in form.values() if isinstance(form, dict) else [rows.buffer for rows in form]:
            if buffer is not None:
                self._held.remove(buffer)
                buffer.release()

    def rows(self, packed: npt.NDArray[np.uint8], first: int) -> RowBuffer:
        """Copy rows to the device; `first` is the number of the first row."""
        words = row_words(packed)
        return RowBuffer(self.put(words), words.shape[1], first, len(packed))

    def put(self, array: npt.NDArray[Any], *, writable: bool = False) -> "cl.Buffer":
        """Return a buffer with a copy of a non-empty array, which kernels may change if it is `writable`."""
        import pyopencl as cl

        flags = (cl.mem_flags.READ_WRITE if writable else cl.mem_flags.READ_ONLY) | cl.mem_flags.COPY_HOST_PTR
        with guarded(self._name, f"loading {array.nbytes:,} bytes"):
            return cl.Buffer(self._context, flags, hostbuf=np.ascontiguousarray(array))

    def allocate(self, size: int) -> "cl.Buffer":
        """Return a buffer of `size` bytes."""
        import pyopencl as cl

        with guarded(self._name, f"allocating {size:,} bytes"):
            return cl.Buffer(self._context, cl.mem_flags.READ_WRITE, size)

    def _keep(self, buffer: "cl.Buffer") -> "cl.Buffer":
        self._held.append(buffer)
        return buffer

    def _check_rows(self, rows: int) -> None:
        if rows > ROWS_MAX:
            raise UnsupportedError(
                f"{self._name} numbers rows with 32 bits, so it holds at most {ROWS_MAX:,} rows, not {rows:,}"
            )

    def _check(self, needed: int, what: str) -> None:
        used = self.resident_bytes
        if needed + used > self.capacity_bytes:
            raise UnsupportedError(
                f"{self._name} has {self.capacity_bytes:,} bytes of memory, and other residents use {used:,}: "
                f"{what} need {needed:,}"
            )

    def _upload(
        self,
        source: npt.NDArray[np.uint8],
        columns: int,
        block_rows: int,
        column_bytes: int,
        arrange: Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]],
    ) -> list[RowBuffer]:
        """Copy rows in blocks of `block_rows`, of which `arrange` makes `column_bytes` for each column."""
        import pyopencl as cl

        rows, block = len(source), columns * column_bytes
        self._check_rows(rows)
        self._check(-(-rows // block_rows) * block, f"{rows:,} rows of {columns} columns")
        step = max(1, self._largest // block) * block_rows
        piece = max(1, _PIECE_BYTES // block) * block_rows
        parts: list[RowBuffer] = []
        try:
            for first in range(0, rows, step):
                count = min(step, rows - first)
                buffer = self._keep(self.allocate(-(-count // block_rows) * block))
                parts.append(RowBuffer(buffer, columns, first, count))
                for at in range(0, count, piece):
                    words = arrange(source[first + at : first + min(at + piece, count)])
                    with guarded(self._name, f"loading {words.nbytes:,} bytes"):
                        cl.enqueue_copy(self._queue, parts[-1].buffer, words, dst_offset=at // block_rows * block)
        except BaseException:
            self.free(parts)
            raise
        return parts
