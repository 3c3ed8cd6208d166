"""Memory of a device: databases by digest, and buffers of single calls."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.host.backends.residents import check_database
from ninefold.spec.data import Database
from ninefold.spec.errors import UnsupportedError

from .failures import guarded
from .layout import BLOCK_BYTES, ROWS, columns_of, row_words

if TYPE_CHECKING:
    import pyopencl as cl

    from .platforms import DeviceEntry

__all__ = ["ROWS_MAX", "Memory", "Out", "RowBuffer"]

#: Largest number of rows: a row's number takes 32 bits of a key, and one value marks an empty slot.
ROWS_MAX = 2**32 - 2
#: Bytes arranged and copied together, so that a memory-mapped database is never entirely in the host's memory.
_PIECE_BYTES = 1 << 24


@dataclass(frozen=True)
class RowBuffer:
    """Consecutive rows in one buffer, in the layout of `layout.row_words`.

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
        self._databases: dict[str, list[RowBuffer]] = {}
        self.capacity_bytes: int = entry.device.global_mem_size

    @property
    def resident_bytes(self) -> int:
        """Bytes of all databases on the device."""
        return sum(rows.buffer.size for parts in self._databases.values() for rows in parts)

    def load(self, database: Database) -> list[RowBuffer]:
        """Return a database's rows on the device, loading them first if necessary; a list of no parts for no rows.

        Raises
        ------
        InputError
            ``mine`` does not accept the database.
        UnsupportedError
            The database does not fit; the message gives the numbers.
        """
        parts = self._databases.get(database.digest)
        if parts is None:
            check_database(database)
            packed = np.asarray(database.require("nits"))
            self._check(len(packed), columns_of(int(database.attributes["dimensions"])))
            parts = self._databases[database.digest] = self._upload(packed)
        return parts

    def unload(self, digest: str) -> None:
        """Free a database if it is loaded."""
        for rows in self._databases.pop(digest, []):
            rows.buffer.release()

    def close(self) -> None:
        """Free every database."""
        for digest in list(self._databases):
            self.unload(digest)

    def rows(self, packed: npt.NDArray[np.uint8], first: int) -> RowBuffer:
        """Copy rows to the device; `first` is the number of the first row."""
        words = row_words(packed)
        return RowBuffer(self.put(words), words.shape[1], first, len(packed))

    def put(self, array: npt.NDArray[Any]) -> "cl.Buffer":
        """Return a buffer with a copy of a non-empty array."""
        import pyopencl as cl

        flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        with guarded(self._name, f"loading {array.nbytes:,} bytes"):
            return cl.Buffer(self._context, flags, hostbuf=np.ascontiguousarray(array))

    def allocate(self, size: int) -> "cl.Buffer":
        """Return a buffer of `size` bytes."""
        import pyopencl as cl

        with guarded(self._name, f"allocating {size:,} bytes"):
            return cl.Buffer(self._context, cl.mem_flags.READ_WRITE, size)

    def _check(self, rows: int, columns: int) -> None:
        if rows > ROWS_MAX:
            raise UnsupportedError(
                f"{self._name} numbers rows with 32 bits, so it holds at most {ROWS_MAX:,} rows, not {rows:,}"
            )
        needed, used = -(-rows // ROWS) * columns * BLOCK_BYTES, self.resident_bytes
        if needed + used > self.capacity_bytes:
            raise UnsupportedError(
                f"{self._name} has {self.capacity_bytes:,} bytes of memory, and other databases use {used:,}: "
                f"{rows:,} rows of {columns} columns need {needed:,}"
            )

    def _upload(self, packed: npt.NDArray[np.uint8]) -> list[RowBuffer]:
        import pyopencl as cl

        columns = -(-packed.shape[1] // 2)
        block = columns * BLOCK_BYTES
        step = max(1, self._largest // block) * ROWS
        piece = max(1, _PIECE_BYTES // block) * ROWS
        parts: list[RowBuffer] = []
        try:
            for first in range(0, len(packed), step):
                count = min(step, len(packed) - first)
                parts.append(RowBuffer(self.allocate(-(-count // ROWS) * block), columns, first, count))
                for at in range(0, count, piece):
                    words = row_words(packed[first + at : first + min(at + piece, count)])
                    with guarded(self._name, f"loading {words.nbytes:,} bytes"):
                        cl.enqueue_copy(self._queue, parts[-1].buffer, words, dst_offset=at // ROWS * block)
        except BaseException:
            for rows in parts:
                rows.buffer.release()
            raise
        return parts
