"""Folders for caches and data, and a store of built things keyed by what they were built from.

Standard library only, as all of this package; the folders are those of the XDG base directory specification.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import UnavailableError

__all__ = ["BuildCache", "cache_folder", "data_folder", "digest_of", "unwritable"]


def cache_folder() -> Path:
    """Folder of what can be made again: ``$NINEFOLD_CACHE``, else ``ninefold`` in the user's cache folder."""
    return _folder("NINEFOLD_CACHE", "XDG_CACHE_HOME", ".cache")


def data_folder() -> Path:
    """Folder of what users made: ``$NINEFOLD_DATA``, else ``ninefold`` in the user's data folder."""
    return _folder("NINEFOLD_DATA", "XDG_DATA_HOME", ".local/share")


def digest_of(*parts: Any) -> str:
    """Return a SHA-256 over JSON-serialisable parts, strings and bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


class BuildCache:
    """Built folders, each named by the digest of everything that it was built from.

    An entry is built aside and appears by one rename, so an interrupted build leaves nothing that looks finished; a
    lock an entry makes concurrent builders wait for the first one.

    Parameters
    ----------
    kind : str
        Sub-folder of the cache, one for each kind of thing.
    """

    def __init__(self, kind: str) -> None:
        self.folder = cache_folder() / kind

    def get(self, digest: str, build: Callable[[Path], None]) -> Path:
        """Return the entry of that digest; when there is none, let `build` fill a new folder first.

        Parameters
        ----------
        digest : str
            Names the entry; the same digest must mean the same content.
        build : callable
            ``build(folder)`` writes the entry. What it raises is passed on, and nothing is kept.
        """
        entry = self.folder / digest
        if self.find(digest):
            return entry
        with self._locked(digest):
            if not entry.is_dir():
                # Only the holder of the lock builds, so what lies around under this digest is an interrupted build.
                for leftover in self.folder.glob(f".{digest}-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                work = Path(tempfile.mkdtemp(prefix=f".{digest}-", dir=self.folder))
                try:
                    build(work)
                    work.chmod(0o755)
                    work.rename(entry)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        return entry

    def find(self, digest: str) -> Path | None:
        """Return the entry of that digest if there is one; nothing is built."""
        entry = self.folder / digest
        return entry if entry.is_dir() else None

    @contextlib.contextmanager
    def _locked(self, digest: str) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / f".{digest}.lock").open("w")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def unwritable(folder: Path, error: OSError) -> UnavailableError:
    """Return the error of a cache folder that cannot be written."""
    reason = error.strerror or type(error).__name__
    return UnavailableError(f"the cache folder {folder} cannot be written ({reason})", "set NINEFOLD_CACHE to another")


def _folder(own: str, xdg: str, fallback: str) -> Path:
    if value := os.environ.get(own):
        return Path(value).expanduser().absolute()
    base = os.environ.get(xdg)
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / fallback) / "ninefold"
