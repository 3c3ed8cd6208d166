"""Journal of finished embeddings: an append-only file of vectors that survives a kill at any point.

The file starts with `_MAGIC`. Each chunk after it is a header (4-byte mark, rows, CRC-32 of the payload, CRC-32 of the
header's first 12 bytes; little endian) and its payload: the 32-byte keys, then the float32 vectors of its rows.
"""

import fcntl
import mmap
import os
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError

from .graph import DIMENSIONS

__all__ = ["KEY_BYTES", "Journal"]

KEY_BYTES: Final = 32
_MAGIC: Final = b"ninefold embeddings 1\n"
_MARK: Final = b"rows"
_HEADER: Final = struct.Struct("<4sIII")
_ROW: Final = KEY_BYTES + 4 * DIMENSIONS
_SYNC_S: Final = 2.0


class Journal:
    """Vectors by key in one file. Opening it recovers every chunk that was appended completely.

    A chunk is valid if all its bytes are present and its checksums match. A truncated or damaged tail is removed. A
    damaged chunk within the file is skipped, so its rows are missing and can be appended again. Only one process at a
    time can open a journal.

    Parameters
    ----------
    path : Path
        File of the journal; created, with its folder, if it does not exist.

    Attributes
    ----------
    path : Path
        File of the journal.
    lost_bytes : int
        Number of unusable bytes found on opening.

    Raises
    ------
    DamagedDataError
        If the file is not a journal.
    UnavailableError
        If another process has it open, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost_bytes = 0
        self._offsets: dict[bytes, int] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UnavailableError(f"{path} cannot be opened for writing: {error.strerror}") from error
        try:
            self._lock()
            self._end = self._recover()
        except BaseException:
            os.close(self._file)
            raise
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._offsets)

    def __contains__(self, key: bytes) -> bool:
        """Return True if there is a vector for `key`."""
        return key in self._offsets

    def append(self, keys: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        """Append a chunk. After the return only a crash of the machine can lose it; after `sync`, nothing can.

        Parameters
        ----------
        keys : sequence of bytes
            One key of 32 bytes per row.
        vectors : float32 array of shape (len(keys), 384)
            Vectors of the rows.

        Raises
        ------
        UnavailableError
            If the disk is full or fails; the journal is then unchanged.
        """
        if vectors.shape != (len(keys), DIMENSIONS) or vectors.dtype != np.float32:
            raise InputError(
                f"vectors must be float32 of shape ({len(keys)}, {DIMENSIONS}), not {vectors.dtype}{vectors.shape}"
            )
        if wrong := [key for key in keys if len(key) != KEY_BYTES]:
            raise InputError(f"a key must have {KEY_BYTES} bytes, not {len(wrong[0])}")
        payload = b"".join(keys) + vectors.tobytes()
        head = _HEADER.pack(_MARK, len(keys), zlib.crc32(payload), 0)[:12]
        chunk = head + struct.pack("<I", zlib.crc32(head)) + payload
        try:
            self._write(chunk, self._end)
            if time.monotonic() - self._synced > _SYNC_S:
                self.sync()
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise UnavailableError(
                f"{self.path} cannot be written: {error.strerror}; {len(self)} embeddings are kept in it",
                "make room and run the same command again",
            ) from error
        self._index(keys, self._end + _HEADER.size)
        self._end += len(chunk)

    def vectors(self, keys: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Return the vectors of `keys`, float32 (len(keys), 384).

        Raises
        ------
        InputError
            If one is missing.
        """
        found = np.empty((len(keys), DIMENSIONS), np.float32)
        if not keys:
            return found
        with mmap.mmap(self._file, self._end, access=mmap.ACCESS_READ) as content:
            for row, key in enumerate(keys):
                if key not in self._offsets:
                    raise InputError(f"{self.path} has no embedding for key {key.hex()} (row {row})")
                at = self._offsets[key]
                found[row] = np.frombuffer(content[at : at + 4 * DIMENSIONS], np.float32)
        return found

    def sync(self) -> None:
        """Wait until all chunks are on the disk."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close; does nothing if already closed."""
        if self._file >= 0:
            file, self._file = self._file, -1
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UnavailableError(
                f"another process is embedding into {self.path}", "wait for it to end, or stop it"
            ) from error

    def _recover(self) -> int:
        """Index all complete chunks, truncate the file after the last one, and return the offset of the next."""
        size = os.fstat(self._file).st_size
        start = os.pread(self._file, len(_MAGIC), 0)
        if not _MAGIC.startswith(start):
            raise DamagedDataError(f"{self.path} is not a journal of embeddings; it is left unchanged")
        if start != _MAGIC:
            self._write(_MAGIC, 0)
            self._sync_folder()
            return len(_MAGIC)
        end = len(_MAGIC)
        while end < size:
            head = os.pread(self._file, _HEADER.size, end)
            if len(head) < _HEADER.size or zlib.crc32(head[:12]) != int.from_bytes(head[12:], "little"):
                break
            _, rows, checksum, _ = _HEADER.unpack(head)
            payload = os.pread(self._file, rows * _ROW, end + _HEADER.size)
            if len(payload) < rows * _ROW:
                break
            if zlib.crc32(payload) == checksum:
                keys = [payload[at : at + KEY_BYTES] for at in range(0, rows * KEY_BYTES, KEY_BYTES)]
                self._index(keys, end + _HEADER.size)
            else:
                self.lost_bytes += _HEADER.size + rows * _ROW
            end += _HEADER.size + rows * _ROW
        self.lost_bytes += size - end
        os.ftruncate(self._file, end)
        return end

    def _sync_folder(self) -> None:
        """Make the name of a new journal survive a power failure; `sync` covers its content."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _index(self, keys: Sequence[bytes], payload_at: int) -> None:
        first = payload_at + KEY_BYTES * len(keys)
        self._offsets.update((key, first + 4 * DIMENSIONS * row) for row, key in enumerate(keys))

    def _write(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:  # on a nearly full disk a first part is written, and the rest raises
            written = os.pwrite(self._file, view, at)
            view, at = view[written:], at + written
