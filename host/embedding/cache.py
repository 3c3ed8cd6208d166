"""Cache of embeddings on disk, shared by all indexes and processes.

The cache is one SQLite database in the cache folder. SQLite gives what the cache needs without a dependency: a process
that is killed leaves the last commit, a reader never waits for a writer, and damage is an error of a call, not a crash
(pages of a memory-mapped store are read without checks, and a truncated one ends the process).

A value carries a checksum of its key and its bytes. A value that does not match is a miss; a file that SQLite cannot
read is moved aside, removed, and replaced by an empty one.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import numpy as np
import numpy.typing as npt

from ninefold.spec.cache import BuildCache, digest_of, unwritable
from ninefold.spec.errors import InputError

from .graph import DIMENSIONS

__all__ = ["LIMIT_GIB", "EmbeddingCache", "limit_bytes"]

#: Environment variable that sets the size of the cache, and the size without it, in GiB.
LIMIT_GIB: Final = ("NINEFOLD_EMBEDDINGS_GIB", 4.0)
#: Digests of a model and of a text, 32 bytes each.
_KEY_BYTES: Final = 64
_CHECK_BYTES: Final = 8
#: Ten rows of a key, a checksum and 384 float32 fill a page.
_PAGE_BYTES: Final = 16_384
#: Smallest size of a cache that is not off: 64 pages.
_LEAST_BYTES: Final = 1 << 20
#: Share of the size that eviction empties, so that it is needed once for many insertions.
_EMPTIED: Final = 1 / 64
#: Pages after which the write-ahead log returns to the database, which bounds the log to about 4 MB.
_CHECKPOINT_PAGES: Final = 256
#: Milliseconds to wait for another process that writes; a commit takes a few.
_WAIT_MS: Final = 30_000
_ENTRY: Final = "embeddings.sqlite"
#: Errors that say nothing of the file's content: it is locked, full, read-only or cannot be opened.
_SOUND: Final = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM),
    }
)
_LOG = logging.getLogger("ninefold.embedding")

Vector = npt.NDArray[np.float32]
_T = TypeVar("_T")


def limit_bytes() -> int:
    """Return the size that ``$NINEFOLD_EMBEDDINGS_GIB`` sets, in bytes; 0 means that nothing is cached.

    Raises
    ------
    InputError
        If it is not a number of GiB, 0 or at least 1/1024.
    """
    variable, default = LIMIT_GIB
    given = os.environ.get(variable) or str(default)
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not (found == 0 or _LEAST_BYTES <= found * 2**30 < math.inf):
        raise InputError(f"{variable} must be 0, or a number of GiB from {_LEAST_BYTES / 2**30:g}, not {given!r}")
    return int(found * 2**30)


class EmbeddingCache:
    """Open cache of embeddings. Any number of processes may have it open; each call is one transaction.

    Parameters
    ----------
    limit : int, optional
        Most bytes that the database may take; the oldest embeddings are removed first. The write-ahead log adds about
        4 MB. 0 opens no file: nothing is found, and nothing is kept. By default, `limit_bytes`.

    Raises
    ------
    UnwritableError
        If the cache folder cannot be written.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit_bytes() if limit is None else limit
        if self.limit and self.limit < _LEAST_BYTES:
            raise InputError(f"limit must be 0, or at least {_LEAST_BYTES} bytes, not {limit}")
        self._builds = BuildCache("embeddings")
        self._digest = digest_of("embeddings", 2)
        self._connection: sqlite3.Connection | None = None
        self._inode = -1
        if self.limit:
            self._attempt(lambda _: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Path of the database."""
        return self._builds.folder / self._digest / _ENTRY

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        """Return the vectors of those `keys` that are cached, each float32 (384,).

        Parameters
        ----------
        keys : sequence of bytes
            Keys of 64 bytes: digest of the model, then SHA-256 of the text.
        """

        def read(connection: sqlite3.Connection) -> dict[bytes, Vector]:
            found: dict[bytes, Vector] = {}
            with _transaction(connection, "DEFERRED"):
                for key in keys:
                    row = connection.execute("SELECT value FROM vectors WHERE key = ?", (key,)).fetchone()
                    if row is not None and (vector := _checked(key, row[0])) is not None:
                        found[key] = vector
            return found

        return self._attempt(read) if self.limit and keys else {}

    def put(self, keys: Sequence[bytes], vectors: Vector) -> None:
        """Keep vectors, and remove the oldest ones if they no longer fit. When it returns, a kill cannot lose them.

        Parameters
        ----------
        keys : sequence of bytes
            Keys of 64 bytes, as in `get`. A key that is there keeps its age.
        vectors : float32 array of shape (len(keys), 384)

        Raises
        ------
        UnwritableError
            If the disk is full or fails; what was there is unchanged.
        """
        if vectors.shape != (len(keys), DIMENSIONS) or vectors.dtype != np.float32:
            raise InputError(
                f"vectors must be float32 of shape ({len(keys)}, {DIMENSIONS}), not {vectors.dtype}{vectors.shape}"
            )
        if wrong := [key for key in keys if len(key) != _KEY_BYTES]:
            raise InputError(f"a key must have {_KEY_BYTES} bytes, not {len(wrong[0])}")
        rows = [(key, _sealed(key, vector.tobytes())) for key, vector in zip(keys, vectors, strict=True)]

        def write(connection: sqlite3.Connection) -> None:
            with _transaction(connection, "IMMEDIATE"):
                # A value that differs is damaged or from another processor; both are good once replaced.
                connection.executemany(
                    "INSERT INTO vectors (key, value) VALUES (?, ?)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value != excluded.value",
                    rows,
                )
                self._evict(connection, len(rows))
            if (surplus := _pragma(connection, "page_count") - self.limit // _PAGE_BYTES) > 0:
                # It returns a row without columns for each page, of which `execute` would take only the first.
                connection.executescript(f"PRAGMA incremental_vacuum({surplus})")

        if self.limit and rows:
            self._attempt(write)

    def close(self) -> None:
        """Close the database; does nothing if it is closed."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _evict(self, connection: sqlite3.Connection, new: int) -> None:
        """Delete the oldest rows if the pages in use exceed the limit, until a share of it is free."""
        most = self.limit // _PAGE_BYTES
        if _used_pages(connection) <= most:
            return
        while _used_pages(connection) > most * (1 - _EMPTIED):
            oldest = "SELECT number FROM vectors ORDER BY number LIMIT ?"
            done = connection.execute(f"DELETE FROM vectors WHERE number IN ({oldest})", (max(16, new // 4),))  # noqa: S608
            if not done.rowcount:
                return

    def _attempt(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run an action on the open database; if the file proves to be damaged, replace it and run the action again."""
        try:
            try:
                return action(self._connected())
            except sqlite3.Error as error:
                if _primary(error) in _SOUND:
                    raise
                _LOG.warning("a damaged cache of embeddings was replaced", extra={"reason": str(error)})
                self._discard()
                return action(self._connected())
        except (sqlite3.Error, OSError) as error:
            self.close()
            reason = error if isinstance(error, OSError) else OSError(0, str(error))
            raise unwritable(self.path.parent, reason) from error

    def _connected(self) -> sqlite3.Connection:
        """Return the connection to the file that has the name now; another process may have replaced or removed it."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                if self.path.stat().st_ino == self._inode:
                    return self._connection
            self.close()
        self._builds.get(self._digest, _create, lambda folder: (folder / _ENTRY).stat())
        # Opened only if it exists, since an empty file would lack the settings of `_create`.
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, timeout=_WAIT_MS / 1e3, isolation_level=None
        )
        try:
            self._inode = self.path.stat().st_ino
            for setting in ("synchronous = NORMAL", "cell_size_check = ON", "trusted_schema = OFF"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute("SELECT number, key, value FROM vectors LIMIT 0")
        except FileNotFoundError as error:  # removed meanwhile
            connection.close()
            raise sqlite3.DatabaseError(str(error)) from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _discard(self) -> None:
        """Move the damaged database aside and remove it, unless another process has replaced it already."""
        inode = self._inode
        self.close()
        folder = self.path.parent
        aside = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):
            if self.path.is_file() and self.path.stat().st_ino != inode:
                return
            # Both files of SQLite vanish at once, so no process pairs a new database with an old log.
            folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _create(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / _ENTRY, isolation_level=None)) as connection:
        for setting in (f"page_size = {_PAGE_BYTES}", "auto_vacuum = INCREMENTAL", "journal_mode = WAL"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        connection.execute(
            "CREATE TABLE vectors (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL)"
        )


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _primary(error: sqlite3.Error) -> int:
    """Return SQLite's primary code of an error; 0 if the error has none, such as text that is not UTF-8."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _used_pages(connection: sqlite3.Connection) -> int:
    return _pragma(connection, "page_count") - _pragma(connection, "freelist_count")


def _sealed(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(key + content, digest_size=_CHECK_BYTES).digest() + content


def _checked(key: bytes, value: object) -> Vector | None:
    """Return the vector in a sealed value; None if the value is damaged or belongs to another key."""
    if not isinstance(value, bytes) or len(value) != _CHECK_BYTES + 4 * DIMENSIONS:
        return None
    content = value[_CHECK_BYTES:]
    return np.frombuffer(content, np.float32) if _sealed(key, content) == value else None
