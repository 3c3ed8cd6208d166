"""Databases that callers upload once, in parts, and name by digest in later calls.

An upload is a ``.npz`` file without compression: a member for each array, and one without axes for each attribute.
"""

from __future__ import annotations

import re
import threading
import time
import weakref
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from ninefold.spec.data import Database, content_digest
from ninefold.spec.errors import InputError
from ninefold.spec.files import sync
from ninefold.spec.terminal import printable

from .problems import ProblemError, UnknownError

__all__ = ["Residents", "pack"]

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
#: Databases that are kept in memory, in bytes, the least recently used out first.
_LOADED: Final = 1 << 30
#: Uploads of one caller, and the time in seconds after which one that no one continues is removed.
_MOST: Final = 256
_CONTINUED_S: Final = 86_400.0


class Residents:
    """Folder of uploaded databases, apart for each caller.

    Parameters
    ----------
    folder : Path
    quota : int
        Bytes that one caller may hold, unfinished uploads included.
    """

    def __init__(self, folder: Path, quota: int) -> None:
        self.folder, self.quota = folder, quota
        self._lock = threading.Lock()
        self._locks: weakref.WeakValueDictionary[tuple[str, str], threading.Lock] = weakref.WeakValueDictionary()
        self._loaded: OrderedDict[tuple[str, str], Database] = OrderedDict()

    def state(self, caller: str, digest: str) -> tuple[int, bool]:
        """Return the number of bytes that are here, and whether the upload is complete."""
        whole, part = self._files(caller, digest)
        if whole.is_file():
            return whole.stat().st_size, True
        return (part.stat().st_size, False) if part.is_file() else (0, False)

    def append(self, caller: str, digest: str, offset: int, content: bytes, *, last: bool) -> tuple[int, bool]:
        """Append bytes to an upload, and return its state.

        Parameters
        ----------
        caller : str
            Id of the caller's key.
        digest : str
            SHA-256 of the database; see `Database.digest`.
        offset : int
            Number of bytes that the caller has sent before.
        content : bytes
        last : bool
            True for the last bytes: the database is then read, and its digest compared.

        Raises
        ------
        ProblemError
            409 if other bytes are here than the caller believes; 413 beyond the quota.
        InputError
            The file is no database, or one of another digest; nothing of it is kept.
        """
        whole, part = self._files(caller, digest)
        with self._of(caller, digest):
            size, complete = self.state(caller, digest)
            if complete:
                return size, True
            if offset + len(content) <= size and _holds(part, offset, content):
                return size, False  # the answer to the first attempt was lost
            if offset != size:
                raise ProblemError(
                    409, f"{size} bytes of {digest} are here, not {offset}", {"upload-offset": str(size)}
                )
            with self._lock:
                self._admit(part, content)
                part.parent.mkdir(parents=True, exist_ok=True)
                with part.open("ab") as file:
                    file.write(content)
            if last:
                try:
                    found = _read(part, digest)
                except BaseException:
                    part.unlink()
                    raise
                sync(part)
                part.replace(whole)
                sync(whole.parent)
                self._keep(caller, digest, found)
            return size + len(content), last

    def _admit(self, part: Path, content: bytes) -> None:
        """Remove unfinished uploads that no one continued; raise `ProblemError` beyond the quota and the number."""
        files = {file: file.stat() for file in part.parent.glob("*") if file.is_file()}
        for file, about in list(files.items()):
            if file.suffix == part.suffix and file != part and time.time() - about.st_mtime > _CONTINUED_S:
                file.unlink()
                del files[file]
        if len({*files, part}) > _MOST:
            raise ProblemError(413, f"a key may hold {_MOST} residents, unfinished uploads included: remove one")
        held = sum(about.st_size for about in files.values())
        if held + len(content) > self.quota:
            said = f"a key may hold {self.quota:,} bytes of residents, and {held:,} are here: remove one"
            raise ProblemError(413, said)

    def database(self, caller: str, digest: str) -> Database:
        """Return an uploaded database, after comparing its digest; raises `UnknownError` if it is not complete."""
        whole, _ = self._files(caller, digest)
        with self._of(caller, digest):
            with self._lock:
                found = self._loaded.get((caller, digest))
            if found is None:
                if not whole.is_file():
                    raise UnknownError(f"no resident {digest} was uploaded by this key")
                found = _read(whole, digest)
            self._keep(caller, digest, found)
        return found

    def _keep(self, caller: str, digest: str, found: Database) -> None:
        """Keep a database in memory, and drop those that were used before all others."""
        with self._lock:
            self._loaded[caller, digest] = found
            self._loaded.move_to_end((caller, digest))
            while len(self._loaded) > 1 and sum(one.nbytes for one in self._loaded.values()) > _LOADED:
                self._loaded.popitem(last=False)

    def _of(self, caller: str, digest: str) -> threading.Lock:
        """Return the lock of one upload: reading a large one takes long, and holds up no other."""
        with self._lock:
            return self._locks.setdefault((caller, digest), threading.Lock())

    def remove(self, caller: str, digest: str) -> None:
        """Remove an upload, complete or not; raises `UnknownError` if there is none."""
        files = self._files(caller, digest)
        with self._of(caller, digest):
            with self._lock:
                self._loaded.pop((caller, digest), None)
            if not any(file.is_file() for file in files):
                raise UnknownError(f"no resident {digest} was uploaded by this key")
            for file in files:
                file.unlink(missing_ok=True)

    def _files(self, caller: str, digest: str) -> tuple[Path, Path]:
        """Return the files of a complete and of an unfinished upload; names that are no digest never reach the disk."""
        if not _DIGEST.fullmatch(digest):
            raise InputError(f"a resident is named by its SHA-256, 64 hexadecimal digits, not {printable(digest)}")
        folder = self.folder / (caller or "anyone")
        return folder / f"{digest}.npz", folder / f"{digest}.part"


def pack(database: Database, file: IO[bytes]) -> None:
    """Write the upload of a database; equal databases give equal bytes, so that an upload can be resumed."""
    if database.joins:
        raise InputError("a database of several parts is uploaded part by part")
    members = {**database.arrays, **{name: np.array(value) for name, value in database.attributes.items()}}
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in members.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _holds(part: Path, offset: int, content: bytes) -> bool:
    """Return whether an unfinished upload has these bytes at an offset."""
    if not content or not part.is_file():
        return False
    with part.open("rb") as file:
        file.seek(offset)
        return file.read(len(content)) == content


def _read(path: Path, digest: str) -> Database:
    """Return the database of an upload; raises `InputError` unless it has the digest."""
    arrays: dict[str, Any] = {}
    attributes: dict[str, int | float | str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise InputError("an uploaded database may not be compressed")
            if sum(info.file_size for info in infos) > path.stat().st_size:
                raise InputError("the members of an uploaded database overlap")
            for info in infos:
                with archive.open(info) as member:
                    array = np.lib.format.read_array(member, allow_pickle=False)
                name = info.filename.removesuffix(".npy")
                if array.ndim:
                    arrays[name] = np.ascontiguousarray(array)
                else:
                    attributes[name] = array.item()
        found = content_digest(arrays, attributes)
    except InputError:
        raise
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError, TypeError, NotImplementedError) as error:
        raise InputError(f"the upload is no database: {printable(str(error))}") from error
    if found != digest:
        raise InputError(f"the uploaded database has the digest {found}, not {digest}; nothing of it is kept")
    return Database(arrays, attributes, digest)
