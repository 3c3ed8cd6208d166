"""LMDB environment of an index: one per process, grown on demand, reopened after a fork.

LMDB's locks belong to a process and a file. An environment must therefore be open once in a process, whoever uses it,
and nothing else here opens its files. `Environment.of` counts the users of each.
"""

from __future__ import annotations

import errno
import os
import resource
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar

import lmdb

from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError

from . import pages
from .place import check_file_system, strangers

__all__ = ["DATA", "LOCK", "Environment", "Transaction", "readable", "salvaging"]

#: Names of LMDB's files.
DATA: Final = "data.mdb"
LOCK: Final = "lock.mdb"

#: Databases of an environment; `ninefold.host.index.tables` describes them.
_DATABASES: Final = ("ids", "records", "tail", "dead", "state", "writes", "uses", "redirects")
#: Databases that earlier environments lack; they are created when such an environment is opened.
_LATER: Final = ("uses", "redirects")
#: Address space that is reserved; the file grows only as it is filled.
_MAP_BYTES: Final = 64 << 30
_SMALLEST_MAP_BYTES: Final = 64 << 20
_READERS: Final = 1024
#: Time that growing waits for transactions of this process.
_GROW_S: Final = 30.0
#: Errors of the operating system, which LMDB reports by their text only, and what to do about each.
_HINTS: Final = {
    errno.ENOSPC: "nothing was changed: free some space on its disk, then repeat",
    errno.EDQUOT: "nothing was changed: free some space or raise your quota (quota -s), then repeat",
    errno.EFBIG: "nothing was changed: raise the limit of file sizes (ulimit -f)",
    errno.EROFS: "its file system is mounted read-only, so the index can only be searched",
    errno.EACCES: f"readers of an index register in {LOCK}: let this user write that file",
    errno.EPERM: "",
    errno.EIO: "the disk failed; the kernel's log (dmesg) may say why",
    errno.ENOENT: "",
    errno.ENOTDIR: "",
    errno.ENOMEM: "",
}
#: Smallest file of an environment: its two pages of versions.
_LEAST_PAGES: Final = 2
#: Time that reading all values may take.
_READ_ALL_S: Final = 600.0
#: Times that readers of dead processes are removed; more may be killed meanwhile.
_REMOVALS: Final = 3
_Result = TypeVar("_Result")


class Transaction:
    """One transaction with the environment's databases.

    Attributes
    ----------
    id : int
        Number of the version that is read, or that a write makes.
    """

    def __init__(
        self, txn: lmdb.Transaction, databases: dict[str, Any], errors: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._txn, self._databases, self._errors = txn, databases, errors
        self.id = int(txn.id())

    def get(self, database: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        with self._errors():
            found: Any = self._txn.get(key, db=self._databases[database])
        return None if found is None else bytes(found)

    def put(self, database: str, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self._txn.put(key, value, db=self._databases[database])

    def put_all(self, database: str, items: list[tuple[bytes, bytes]]) -> None:
        """Set the values of many keys, quickly if the keys ascend."""
        with self._txn.cursor(db=self._databases[database]) as cursor:
            cursor.putmulti(items)

    def delete(self, database: str, key: bytes) -> bool:
        """Remove a key; return whether it was there."""
        return self._txn.delete(key, db=self._databases[database])

    def clear(self, database: str) -> None:
        """Remove all keys."""
        self._txn.drop(self._databases[database], delete=False)

    def count(self, database: str) -> int:
        """Return the number of keys."""
        with self._errors():
            return int(self._txn.stat(self._databases[database])["entries"])

    def items(self, database: str, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values in the order of the keys, from a key on."""
        with self._errors(), self._txn.cursor(db=self._databases[database]) as cursor:
            if cursor.set_range(first):
                for key, value in cursor:
                    yield bytes(key), bytes(value)

    def keys(self, database: str) -> Iterator[bytes]:
        """Yield the keys in order."""
        with self._errors(), self._txn.cursor(db=self._databases[database]) as cursor:
            yield from map(bytes, cursor.iternext(values=False))


class Environment:
    """LMDB environment in a folder; use `of`, and `release` once for each use.

    Parameters
    ----------
    folder : Path
        Folder of ``data.mdb`` and ``lock.mdb``.
    create : bool
        Create the environment if it is missing.
    private : bool
        No other process opens it, so it needs no locks and may be on a network file system.

    Raises
    ------
    InputError
        It is on a network file system, or open in another PID namespace.
    DamagedDataError
        The environment is missing or damaged.
    OSError
        It cannot be opened.
    """

    _all: ClassVar[dict[tuple[int, int], Environment]] = {}
    _guard: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, folder: Path, create: bool, private: bool) -> None:
        self.folder, self._private = folder, private
        self._pid = os.getpid()
        self._users = 0
        self._inside = 0
        self._changed = threading.Condition()
        self._preparing = threading.Lock()
        self._databases: dict[str, Any] = {}
        if not private:
            check_file_system(folder)
        self._env = self._opened(create)
        self.identity = _identity(folder)
        #: Name of this use of the environment. Inode and version numbers may both repeat after a restore.
        self.token = secrets.token_hex(8)

    @classmethod
    def of(cls, folder: Path, *, create: bool = False, private: bool = False) -> Environment:
        """Return the environment of a folder, opened if this process has not opened it yet."""
        if not create and not (folder / DATA).is_file():
            raise DamagedDataError(f"{folder / DATA} is missing; `ninefold doctor {folder}` says what can be saved")
        with cls._guard:
            found = None if not (folder / DATA).is_file() else cls._all.get(_identity(folder))
            if found is not None and found._pid != os.getpid():
                # Inherited by a fork. Closing it here leaves the parent's locks and readers alone.
                del cls._all[found.identity]
                found._env.close()
                found = None
            if found is None:
                if not create and (size := (folder / DATA).stat().st_size) < _LEAST_PAGES * resource.getpagesize():
                    raise DamagedDataError(_truncated(folder / DATA, size, folder))
                if not create:
                    _check_pages(folder)
                found = cls(folder, create, private)
                cls._all[found.identity] = found
            found._users += 1
        try:
            found._prepare(create)
        except BaseException:
            found.release()
            raise
        return found

    def _prepare(self, create: bool) -> None:
        """Check the environment and open its databases, once; others that wait for it may take long."""
        with self._preparing:
            if not self._databases:
                self._check_readers()
                self._check_size()
                self._databases = self._opened_databases(create)

    def release(self) -> None:
        """End one use; the last one closes the environment."""
        with self._guard:
            self._users -= 1
            if self._users == 0 and self._all.get(self.identity) is self:
                del self._all[self.identity]
                if self._pid == os.getpid():
                    self._env.close()

    @property
    def replaced(self) -> bool:
        """True if another environment has taken the place of this one, or a fork has made it useless."""
        try:
            return _identity(self.folder) != self.identity or self._pid != os.getpid()
        except FileNotFoundError:
            return True

    @property
    def last(self) -> int:
        """Number of the last committed version."""
        return int(self._env.info()["last_txnid"])

    @property
    def bytes(self) -> int:
        """Size of the file in bytes."""
        return (self.folder / DATA).stat().st_size

    def oldest_reader(self) -> int | None:
        """Return the oldest version that any process reads, or None if none reads."""
        return min((version for versions in self.readers().values() for version in versions), default=None)

    def remove_dead_readers(self) -> int:
        """Remove readers whose process is gone, which would keep old pages; return their number."""
        return int(self._env.reader_check())

    def copy(self, path: Path, transaction: Transaction) -> None:
        """Write the content that a transaction reads to a new file without unused pages, and sync it.

        Only its owner may read the file.
        """
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with self._errors(path):
                self._env.copyfd(file, compact=True, txn=transaction._txn)
            os.fsync(file)
        except TypeError as error:
            reinstall = "pip install --force-reinstall lmdb"
            raise UnavailableError(f"the installed lmdb cannot copy a transaction ({error})", reinstall) from error
        finally:
            os.close(file)

    def readers(self) -> dict[int, list[int]]:
        """Return the versions that each registered process reads now, by its number."""
        found: dict[int, list[int]] = {}
        for line in self._env.readers().splitlines():
            words = line.split()
            if words and words[0].isdigit():
                found.setdefault(int(words[0]), []).extend(int(word) for word in words[-1:] if word.isdigit())
        return found

    def _check_readers(self) -> None:
        """Raise `InputError` if a process of another PID namespace has the index open."""
        removals = 0
        while left := strangers(self.readers()):
            if removals == _REMOVALS:
                raise InputError(
                    f"{self.folder} is open in process {left[0]} of another PID namespace, such as a container's: LMDB"
                    " tells readers apart by their process numbers, which mean other processes here. Run both in one"
                    " PID namespace, or search through one process"
                )
            self.remove_dead_readers()
            removals += 1

    def _check_size(self) -> None:
        """Raise `DamagedDataError` if the file ends before a page that is in use: reading that page would kill."""
        pages = int(self._env.info()["last_pgno"]) + 1
        if self.bytes >= pages * int(self._env.stat()["psize"]):
            return
        # Unused pages at the end need not be in the file, so all pages in use are read.
        if not readable(self.folder):
            raise DamagedDataError(_truncated(self.folder / DATA, self.bytes, self.folder))

    def begin(self) -> tuple[Transaction, Callable[[], None]]:
        """Begin a transaction that reads; return it and the function that ends it, which any thread may call once."""
        while True:
            self._enter()
            try:
                with self._errors():
                    txn = self._env.begin(buffers=False)
            except lmdb.MapResizedError:
                self._leave()
                self._grow(0)
            except BaseException:
                self._leave()
                raise
            else:
                break
        ended = threading.Lock()

        def end() -> None:
            if ended.acquire(blocking=False):
                if self._pid == os.getpid():
                    txn.abort()
                self._leave()

        return Transaction(txn, self._databases, self._errors), end

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Yield a transaction that reads."""
        transaction, end = self.begin()
        try:
            yield transaction
        finally:
            end()

    def write(self, apply: Callable[[Transaction], _Result]) -> _Result:
        """Run a function in a transaction and commit it to the disk; an error of the function undoes everything.

        Parameters
        ----------
        apply : callable
            ``apply(transaction)``. Called again, on a new transaction, after the map had to grow.

        Raises
        ------
        OSError
            The disk is full or cannot be written; nothing was changed.
        """
        while True:
            self._enter()
            try:
                with self._errors():
                    return self._committed(apply)
            except lmdb.MapFullError:
                size = 2 * int(self._env.info()["map_size"])
            except lmdb.MapResizedError:
                size = 0
            finally:
                self._leave()
            self._grow(size)

    def _committed(self, apply: Callable[[Transaction], _Result]) -> _Result:
        txn = self._env.begin(write=True)
        try:
            result = apply(Transaction(txn, self._databases, self._errors))
            txn.commit()
        except BaseException:
            txn.abort()
            raise
        return result

    def _enter(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._inside >= 0)
            self._inside += 1

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def _grow(self, size: int) -> None:
        """Change the size of the map, or adopt the size of another process (0), while no transaction is open here."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._inside == 0, _GROW_S):
                raise InputError(
                    f"{self.folder} needs a larger map, which waits for {self._inside} open snapshots of this process; "
                    "close them"
                )
            self._inside = -1
        try:
            with self._errors():
                self._env.set_mapsize(size)
        finally:
            with self._changed:
                self._inside = 0
                self._changed.notify_all()

    def _opened(self, create: bool) -> lmdb.Environment:
        size, limit = _MAP_BYTES, resource.getrlimit(resource.RLIMIT_AS)[0]
        while limit != resource.RLIM_INFINITY and size > max(limit // 4, _SMALLEST_MAP_BYTES):
            size //= 2
        while True:
            try:
                with self._errors():
                    return self._open(size, create, readonly=False)
            except PermissionError:
                return self._open(size, create=False, readonly=True)
            except OSError as error:
                if error.errno == errno.EROFS:
                    return self._open(size, create=False, readonly=True)
                if error.errno != errno.ENOMEM or size <= _SMALLEST_MAP_BYTES:
                    raise
                size //= 2

    def _open(self, size: int, create: bool, readonly: bool) -> lmdb.Environment:
        with self._errors():
            return lmdb.open(
                str(self.folder),
                map_size=size,
                max_dbs=len(_DATABASES),
                max_readers=_READERS,
                create=create,
                readonly=readonly,
                lock=not self._private,
                mode=0o644,
            )

    def _opened_databases(self, create: bool) -> dict[str, Any]:
        """Open all databases; without waiting for a writer unless they are created."""
        with self._errors():
            if not create:
                found = {n: self._env.open_db(n.encode(), create=False) for n in _DATABASES if n not in _LATER}
                with suppress(lmdb.NotFoundError):
                    return found | {name: self._env.open_db(name.encode(), create=False) for name in _LATER}
            with self._env.begin(write=True) as txn:
                return {name: self._env.open_db(name.encode(), txn=txn) for name in _DATABASES}

    @contextmanager
    def _errors(self, path: Path | None = None) -> Iterator[None]:
        """Turn errors of LMDB about a file or the environment into ours; those that ask for a larger map pass."""
        try:
            yield
        except (lmdb.MapFullError, lmdb.MapResizedError):
            raise
        except lmdb.Error as error:
            said = str(error)
            for code, hint in _HINTS.items():
                if os.strerror(code) in said:
                    reason = f"{os.strerror(code)}; {hint}" if hint and path is None else os.strerror(code)
                    raise OSError(code, reason, str(path or self.folder)) from error
            raise DamagedDataError(f"{self.folder / DATA} is damaged or in use: {said}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def salvaging(folder: Path, *options: str) -> list[str]:
    """Return the command that reads tables which may be damaged; as a file it starts without the packages of this."""
    return [sys.executable, "-P", str(Path(__file__).with_name("salvage.py")), str(folder), *options]


def readable(folder: Path) -> bool:
    """Return whether all values of an environment can be read; another process reads them, as a page may kill it."""
    words = salvaging(folder, "--check")
    try:
        return not subprocess.run(words, capture_output=True, timeout=_READ_ALL_S, check=False).returncode
    except subprocess.TimeoutExpired as error:
        raise DamagedDataError(f"{folder / DATA}: reading it was given up after {error.timeout:g} seconds") from error


def _check_pages(folder: Path) -> None:
    """Raise `DamagedDataError` if pages are damaged on which LMDB would abort; this process has not opened the file."""
    try:
        flaw = pages.flaw_of(folder / DATA)
    except OSError:
        return  # LMDB fails too, and says why
    # A writer may have changed pages meanwhile.
    if flaw and not readable(folder):
        raise DamagedDataError(f"{folder / DATA} is damaged: {flaw}; `ninefold doctor {folder}` says what can be saved")


def _truncated(path: Path, size: int, folder: Path) -> str:
    return f"{path} is truncated: it has {size:,} bytes; `ninefold doctor {folder}` says what can be saved"


def _identity(folder: Path) -> tuple[int, int]:
    status = (folder / DATA).stat()
    return status.st_dev, status.st_ino
