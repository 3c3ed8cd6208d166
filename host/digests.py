"""SHA-256 of files, cached while a file is unchanged.

Hashing 90 MB takes 0.1 to 0.5 s of processor time. The digest is kept in the cache folder, with the inode number, size
and times of the file. When one of these changes, the digest is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Final

from ninefold.spec.cache import cache_folder, digest_of
from ninefold.spec.files import written_aside

__all__ = ["remembered_sha256", "sha256_of"]

#: Seconds within which two changes of a file may carry the same time: the clocks of file systems tick every few
#: milliseconds, some every 2 s.
_SETTLED_S: Final = 3.0


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal, without reading the file again if it is unchanged.

    The change time of the inode (ctime) is compared too, since programs cannot set it. Corruption by a failing disk is
    not detected; use `sha256_of` for that.
    """
    place = path.resolve()
    entry = cache_folder() / "digests" / f"{digest_of(str(place))}.json"
    with place.open("rb") as file:
        before = _identity(file.fileno())
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(entry.read_bytes())
            if kept["identity"] == before:
                return str(kept["sha256"])
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = _identity(file.fileno())
    changed_s = max(after[-2:]) / 1e9
    if before == after and changed_s < time.time() - _SETTLED_S:
        _keep(entry, {"path": str(place), "identity": after, "sha256": digest})
    return digest


def _identity(file: int) -> list[int]:
    status = os.fstat(file)
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _keep(entry: Path, content: dict[str, object]) -> None:
    # A cache that cannot be written costs only time.
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(entry) as file:
            file.write_text(json.dumps(content), encoding="utf-8")
