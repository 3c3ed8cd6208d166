"""Folders of caches and data, and a build cache keyed by the digest of the inputs.

The folders follow the XDG base directory specification.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import InputError, NinefoldError, UnavailableError, UnwritableError

__all__ = ["BuildCache", "cache_folder", "data_folder", "digest_of", "unwritable"]


def cache_folder() -> Path:
    """Return the folder of rebuildable files: ``$NINEFOLD_CACHE``, else ``ninefold`` in the user's cache folder."""
    return _folder("NINEFOLD_CACHE", "XDG_CACHE_HOME", ".cache")


def data_folder() -> Path:
    """Return the folder of users' data: ``$NINEFOLD_DATA``, else ``ninefold`` in the user's data folder."""
    return _folder("NINEFOLD_DATA", "XDG_DATA_HOME", ".local/share")


def digest_of(*parts: Any) -> str:
    """Return the SHA-256 of JSON-serialisable parts, strings and bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


class BuildCache:
    """Cache of built folders, each named by the digest of all its inputs.

    An entry is built in a temporary folder and renamed, so an interrupted build never looks finished. Concurrent
    builders of an entry wait for the first one.

    Parameters
    ----------
    kind : str
        Sub-folder of the cache, one for each kind of entry.
    """

    def __init__(self, kind: str) -> None:
        self.folder = cache_folder() / kind

    def get(self, digest: str, build: Callable[[Path], None], check: Callable[[Path], object] = lambda _: None) -> Path:
        """Return the entry with this digest, after building it if it is missing.

        Parameters
        ----------
        digest : str
            Name of the entry; equal digests must mean equal content.
        build : callable
            ``build(folder)`` writes the entry. Its exceptions are passed on, and nothing is kept.
        check : callable, optional
            ``check(folder)`` raises a `NinefoldError` for an entry that must not be used. A new entry is checked before
            it is kept; an entry that fails is rebuilt.
        """
        entry = self.folder / digest
        if self._sound(digest, check):
            return entry
        with self._locked(digest):
            if not self._sound(digest, check):
                # Remove an entry that failed its check; of an alias, remove only the link.
                if entry.is_symlink():
                    entry.unlink()
                shutil.rmtree(entry, ignore_errors=True)
                # Only the holder of the lock builds, so other folders of this digest are interrupted builds.
                for leftover in self.folder.glob(f".{digest}-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                try:
                    work = Path(tempfile.mkdtemp(prefix=f".{digest}-", dir=self.folder))
                except OSError as error:
                    raise unwritable(self.folder, error) from error
                try:
                    build(work)
                    check(work)
                    work.chmod(0o755)
                    work.rename(entry)
                except OSError as error:
                    # A failed write does not name its file.
                    if error.filename is None and error.errno is not None:
                        raise OSError(error.errno, error.strerror, str(self.folder)) from error
                    raise
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        return entry

    def find(self, digest: str) -> Path | None:
        """Return the entry with this digest, or None; build nothing."""
        entry = self.folder / digest
        try:
            return entry if entry.is_dir() else None
        except OSError as error:  # the folder may not be read
            raise unwritable(self.folder, error) from error

    def alias(self, name: str, entry: Path) -> None:
        """Make an entry of any kind available under another digest; do nothing if the cache cannot be written."""
        link = self.folder / name
        with contextlib.suppress(OSError):
            target = Path(os.path.relpath(entry, self.folder))
            if link.is_symlink() and link.readlink() == target:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            aside = self.folder / f".{name}-{secrets.token_hex(4)}"
            aside.symlink_to(target)
            aside.replace(link)

    def _sound(self, digest: str, check: Callable[[Path], object]) -> bool:
        entry = self.find(digest)
        if entry is None:
            return False
        try:
            check(entry)
        except (NinefoldError, OSError):
            return False
        return True

    @contextlib.contextmanager
    def _locked(self, digest: str) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / f".{digest}.lock").open("w")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                raise unwritable(self.folder, error) from error
            yield


def unwritable(folder: Path, error: OSError) -> UnwritableError:
    """Return the error of a cache folder that cannot be written."""
    reason = error.strerror or type(error).__name__
    what = f"the cache folder {folder} cannot be written ({reason})"
    return UnwritableError(what, "set NINEFOLD_CACHE or --cache-dir to another folder")


def _folder(own: str, xdg: str, fallback: str) -> Path:
    if value := os.environ.get(own):
        try:
            return _checked(Path(value).expanduser().absolute(), own)
        except (RuntimeError, OSError) as error:  # the home of an unknown user, or a removed working folder
            raise InputError(f"{own} must be a folder, not {value} ({error})") from error
    base = os.environ.get(xdg)
    if base and Path(base).is_absolute():
        return _checked(Path(base) / "ninefold", own)
    try:
        return _checked(Path.home() / fallback / "ninefold", own)
    except RuntimeError as error:
        raise UnavailableError(
            "this user has no home folder, neither by HOME nor by the system", f"set {own} to a folder"
        ) from error


def _checked(folder: Path, own: str) -> Path:
    """Return the folder, or raise `InputError` if its path is not UTF-8, which tools need."""
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        byte = f"\\x{ord(error.object[error.start]) & 0xFF:02x}"
        shown = os.fsencode(folder).decode(errors="backslashreplace")
        raise InputError(
            f"the path of the folder {shown} is not UTF-8 (byte {byte}), which tools need: set {own} to another folder"
        ) from None
    return folder
