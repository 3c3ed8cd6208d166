"""Backups of an index, each complete; the backups in one folder share the segments that are the same.

A folder of backups holds ``segments``, with one file for each segment of any backup, and for each backup a folder named
by its number, which grows:

=================  ====================================================================================
``data.mdb``       tables of one transaction, without unused pages
``manifest.json``  the index's own
``backup.json``    time, sizes, SHA-256 of the other files, digests of the segments, questions and answers
=================  ====================================================================================

A backup is written under a hidden name and gets its number when all of it is on the disk. Only its owner may read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.files import sync
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable

from . import segments
from .atomic import new_folder, recover
from .environment import DATA, Environment
from .index import Index
from .locks import NAME, WriterLock
from .manifest import MANIFEST, checksum, locate
from .questions import Questions
from .read import Snapshot
from .segments import SUFFIX, Segment
from .tables import Tables
from .write import check_target

__all__ = ["Backup", "backup", "backups", "numbers", "restore"]

RECORD: Final = "backup.json"
FORMAT: Final = "ninefold backup"
VERSION: Final = 1

_NUMBER: Final = re.compile(r"[1-9][0-9]*")
_PARTIAL: Final = ".partial"
_MEGABYTE: Final = 1_000_000
#: Bytes copied together.
_BLOCK: Final = 8 << 20


@dataclass(frozen=True)
class Backup:
    """Backup of an index.

    Attributes
    ----------
    number : int
        Number in its folder, from 1.
    index : str
        Folder of the index.
    taken : int
        Time in seconds since 1970, UTC.
    rows : int
        Number of entries.
    bytes, new_bytes : int
        Size of all its files, and of those that no earlier backup in the folder had.
    sha256 : dict of str to str
        SHA-256 of ``data.mdb`` and ``manifest.json``.
    segments : dict of str to int
        Size of each segment in bytes, by digest.
    questions : Questions
        Questions and their answers.
    """

    number: int
    index: str
    taken: int
    rows: int
    bytes: int
    new_bytes: int
    sha256: dict[str, str]
    segments: dict[str, int]
    questions: Questions

    @property
    def when(self) -> str:
        """Local time at which it was taken."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.taken))

    def write(self, folder: Path) -> None:
        """Write ``backup.json``, with a checksum of its content."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self), "questions": self.questions.to_json()}
        content["checksum"] = checksum(content)
        _write(folder / RECORD, (json.dumps(content, indent=1) + "\n").encode())

    @classmethod
    def read(cls, folder: Path, number: int) -> Backup:
        """Return a backup of a folder after checking its record.

        Raises
        ------
        DamagedDataError
            The record is missing or damaged; the message names it.
        """
        path = folder / str(number) / RECORD
        try:
            content = json.loads(path.read_bytes())
            rest = {key: value for key, value in content.items() if key != "checksum"}
            if rest.pop("format") != FORMAT or content["checksum"] != checksum({"format": FORMAT, **rest}):
                raise DamagedDataError(f"{path} is damaged: its SHA-256 is not the recorded one")
            if (found := rest.pop("version")) != VERSION:
                raise DamagedDataError(f"{path} has format version {found!r}; this Ninefold reads {VERSION}")
            return cls(**{**rest, "questions": Questions.from_json(rest["questions"])})
        except FileNotFoundError:
            raise DamagedDataError(f"{path} is missing") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedDataError(f"{path} is damaged: {error}") from error

    def check(self, folder: Path) -> None:
        """Compare all files with their digests.

        Raises
        ------
        DamagedDataError
            A file is missing or damaged; the message names it.
        """
        total = len(self.sha256) + len(self.segments)
        with step(f"checking backup {self.number} of {folder}", total) as checking:
            for name, sha256 in self.sha256.items():
                path = folder / str(self.number) / name
                try:
                    found = _sha256(path)
                except FileNotFoundError:
                    raise DamagedDataError(f"{path} is missing") from None
                if found != sha256:
                    raise DamagedDataError(f"{path} is damaged: its SHA-256 is not the recorded one")
                checking.advance()
            for digest in self.segments:
                Segment.verify(folder / segments.FOLDER, digest)
                checking.advance()


def backup(name: str, folder: Path, *, keep: int | None = None) -> Backup:
    """Back up the last commit of an index, while others read and write it.

    Segments that an earlier backup in the folder has are read and checked, and not copied again; a damaged one is
    replaced, which repairs the earlier backups too.

    Parameters
    ----------
    name : str
        Name or path of the index.
    folder : Path
        Folder of backups; created if it is missing.
    keep : int, optional
        Number of backups to keep, the newest; by default all.

    Returns
    -------
    Backup

    Raises
    ------
    InputError
        There is no such index, or the folder holds other files or backups of another index, or it is in use.
    DamagedDataError
        The index is damaged; the message names the file. Nothing is left of the backup.
    OSError
        The disk is full or cannot be written. Nothing is left of the backup.
    """
    if keep is not None and keep < 1:
        raise InputError(f"the number of backups to keep must be at least 1, not {keep}")
    with Index.open(name) as index, _locked(folder, index.folder), index.snapshot() as snapshot:
        there = numbers(folder)
        _check_owner(folder, there, index.folder)
        work = folder / f".{secrets.token_hex(8)}{_PARTIAL}"
        work.mkdir(0o700)
        try:
            made = _made(index, snapshot, folder, work, max(there, default=0) + 1)
            work.rename(folder / str(made.number))
            sync(folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            with contextlib.suppress(OSError):
                _sweep(folder)
            raise
        with contextlib.suppress(OSError):  # the backup is made, and the next one removes what is left
            for number in there[: len(there) + 1 - keep] if keep is not None else ():
                # A kill while it is removed must not leave a backup without a record.
                (folder / str(number)).rename(folder / f".{secrets.token_hex(8)}{_PARTIAL}")
            sync(folder)
            _sweep(folder)
    return made


def _made(index: Index, snapshot: Snapshot, folder: Path, work: Path, number: int) -> Backup:
    """Fill the hidden folder of a backup."""
    with step("copying the tables"):
        snapshot.copy_tables(work / DATA)  # refused for an index of version 1
    digests = [part.database.digest for part in snapshot.parts.parts if not part.on_host]
    sizes, new_bytes = _copy_segments(index.folder / segments.FOLDER, folder / segments.FOLDER, work, digests)
    _write(work / MANIFEST, (index.folder / MANIFEST).read_bytes())
    with step("checking the copy"):
        _check_tables(work, digests, snapshot)
    questions = Questions.asked(snapshot)
    own = {path: (work / path).stat().st_size for path in (DATA, MANIFEST)}
    made = Backup(
        number=number,
        index=str(index.folder.resolve()),
        taken=int(time.time()),
        rows=len(snapshot),
        bytes=sum(sizes.values()) + sum(own.values()),
        new_bytes=new_bytes + sum(own.values()),
        sha256={path: _sha256(work / path) for path in own},
        segments=sizes,
        questions=questions,
    )
    made.write(work)
    sync(work)
    return made


def _copy_segments(source: Path, target: Path, work: Path, digests: list[str]) -> tuple[dict[str, int], int]:
    """Copy the segments that the folder of backups lacks; return the size of each, and the bytes that were copied."""
    target.mkdir(0o700, exist_ok=True)
    sizes, copied = {}, 0
    for digest in digests:
        name = f"{digest}{SUFFIX}"
        try:
            sizes[digest] = (source / name).stat().st_size
            if not _whole(target, digest):
                _copy(source / name, work / name, 0o600)
                Segment.verify(work, digest)
                (work / name).rename(target / name)
                copied += sizes[digest]
        except FileNotFoundError as error:
            raise InputError(f"{error.filename} was removed during the backup; repeat it") from error
        except DamagedDataError as error:
            # The copy is damaged as the segment is; the segment is the file to name.
            raise DamagedDataError(str(error).replace(str(work), str(source))) from error
    sync(target)
    return sizes, copied


def _whole(folder: Path, digest: str) -> bool:
    """Return True if a segment is in a folder and undamaged."""
    try:
        with step(f"checking segment {digest[:12]}"):
            Segment.verify(folder, digest)
    except DamagedDataError:
        return False
    return True


def _check_tables(work: Path, digests: list[str], snapshot: Snapshot) -> None:
    """Raise `DamagedDataError` unless the copied tables list the segments, and every row has its id and its record."""
    with Environment.of(work, private=True) as environment, environment.reading() as transaction:
        tables = Tables(transaction)
        if [listed.digest for listed in tables.catalogue().segments] != digests:
            raise DamagedDataError(f"the copy of {snapshot.called} lists other segments than it")
        tables.verify(snapshot.parts.sequence)


def _check_owner(folder: Path, there: list[int], index: Path) -> None:
    """Raise `InputError` if the newest readable backup is of another index."""
    for number in reversed(there):
        with contextlib.suppress(DamagedDataError):
            owner = Backup.read(folder, number).index
            if owner != str(index.resolve()):
                raise InputError(f"{folder} holds backups of {owner}; give {index} a folder of its own")
            return


def _sweep(folder: Path) -> None:
    """Remove the remains of killed backups, and segments that no backup has; the caller holds the lock."""
    for path in folder.iterdir():
        if path.suffix == _PARTIAL:
            shutil.rmtree(path)
    try:
        listed = {f"{digest}{SUFFIX}" for number in numbers(folder) for digest in Backup.read(folder, number).segments}
    except DamagedDataError:
        return  # the list of a damaged backup is unknown, so all segments stay
    for path in (folder / segments.FOLDER).iterdir():
        if path.name not in listed:
            path.unlink()


@contextlib.contextmanager
def _locked(folder: Path, index: Path) -> Iterator[None]:
    """Hold a folder of backups, created if it is missing."""
    if folder.resolve().is_relative_to(index.resolve()):
        raise InputError(f"{folder} must not be in the folder of the index, {index}")
    if not folder.exists():
        folder.mkdir(0o700, parents=True)
        sync(folder.parent)
    foreign = sorted(name for name in _names(folder) if not _own(name))
    if foreign:
        raise InputError(f"{folder} holds {foreign[0]}, which is not part of a backup; give another folder")
    lock = WriterLock(folder)
    lock.take()
    try:
        lock.path.chmod(0o600)
        yield
    finally:
        lock.release()


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except NotADirectoryError:
        raise InputError(f"backups are kept in a folder, and {folder} is a file") from None
    except FileNotFoundError:
        raise InputError(f"there is no folder {folder}; `ninefold index backup NAME {folder}` makes it") from None


def _own(name: str) -> bool:
    return name in (segments.FOLDER, NAME) or bool(_NUMBER.fullmatch(name)) or name.endswith(_PARTIAL)


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the backups in a folder, the oldest first.

    Raises
    ------
    InputError
        There is no such folder.
    """
    return sorted(int(name) for name in _names(folder) if _NUMBER.fullmatch(name))


def backups(folder: Path) -> dict[int, Backup | DamagedDataError]:
    """Return the backups in a folder by number, the oldest first, and for one with a damaged record the error."""
    found: dict[int, Backup | DamagedDataError] = {}
    for number in numbers(folder):
        try:
            found[number] = Backup.read(folder, number)
        except DamagedDataError as error:
            found[number] = error
    return found


def restore(name: str, folder: Path, *, number: int | None = None, force: bool = False) -> Backup:
    """Restore an index from a backup, after checking all digests and repeating the recorded searches.

    Parameters
    ----------
    name : str
        Name or path of the index. It appears complete or not at all.
    folder : Path
        Folder of backups.
    number : int, optional
        Number of the backup; by default the newest.
    force : bool
        Replace an existing index.

    Returns
    -------
    Backup

    Raises
    ------
    InputError
        There is no such backup, or the name is taken.
    DamagedDataError
        The backup is damaged or gives other answers. The message names the newest earlier one that is undamaged.
    """
    there = numbers(folder)
    if not there:
        raise InputError(f"{folder} holds no backup")
    wanted = there[-1] if number is None else number
    if wanted not in there:
        raise InputError(f"the backup must be one of {', '.join(map(str, there))}, not {wanted}")
    target = locate(name)
    recover(target)
    check_target(target, force)
    try:
        chosen = Backup.read(folder, wanted)
        chosen.check(folder)
        _restored(chosen, folder, target, force)
    except DamagedDataError as error:
        earlier = [each for each in there if each < wanted]
        raise DamagedDataError(f"backup {wanted} is refused: {error}; {_offer(name, folder, earlier)}") from error
    return chosen


def _restored(chosen: Backup, folder: Path, target: Path, force: bool) -> None:
    with contextlib.ExitStack() as held:
        if (target / DATA).is_file():
            lock = WriterLock(target)
            lock.take()
            held.callback(lock.release)
        with new_folder(target, lambda: check_target(target, force)) as work:
            (work / segments.FOLDER).mkdir()
            for name in chosen.sha256:
                _copy(folder / str(chosen.number) / name, work / name)
            for digest in chosen.segments:
                name = f"{segments.FOLDER}/{digest}{SUFFIX}"
                _copy(folder / name, work / name)
            try:
                with Index.open(str(work), called=str(target)) as index, index.snapshot() as snapshot:
                    with step(f"checking {target}"):
                        index.verify()
                    chosen.questions.compare(snapshot)
            except DamagedDataError as error:
                raise DamagedDataError(str(error).replace(str(work), str(target))) from error


def _offer(name: str, folder: Path, earlier: list[int]) -> str:
    """Return the end of an error message that names the newest undamaged backup before it."""
    for number in reversed(earlier):
        with contextlib.suppress(DamagedDataError):
            found = Backup.read(folder, number)
            found.check(folder)
            command = f"ninefold index restore {printable(name)} {printable(folder)} --backup {number}"
            return f"backup {number}, of {found.when}, is undamaged: `{command}` restores it"
    return "no earlier backup is undamaged" if earlier else "there is no earlier backup"


def _copy(source: Path, target: Path, mode: int = 0o666) -> None:
    """Copy a file to a new one, and sync it."""
    size = source.stat().st_size
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with step(f"copying {source.name[:12]}, MB", -(-size // _MEGABYTE)) as copying, source.open("rb") as content:
            while block := content.read(_BLOCK):
                _write_all(file, block, target)
                copying.at(content.tell() // _MEGABYTE, -(-size // _MEGABYTE))
        os.fsync(file)
    finally:
        os.close(file)


def _write(path: Path, content: bytes) -> None:
    """Write a new file for its owner alone, and sync it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write_all(file, content, path)
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, content: bytes, path: Path) -> None:
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
