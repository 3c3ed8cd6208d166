"""File system and processes that an index is shared with: LMDB needs one machine and one numbering of processes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ninefold.spec.errors import InputError

__all__ = ["check_file_system", "file_system", "strangers"]

_MOUNTS: Final = Path("/proc/self/mountinfo")
#: File systems that other machines mount too, and change.
_NETWORK: Final = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3"}
)


def check_file_system(folder: Path) -> None:
    """Raise `InputError` if a folder is on a network file system."""
    kind = file_system(folder)
    if kind in _NETWORK:
        raise InputError(
            f"{folder} is on a network file system ({kind}), where another machine may change it unseen: LMDB's locks"
            " and mapped memory work on one machine. Keep the index on a local disk; backups of it may be here"
        )


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder, such as ``ext4``; empty if the system does not tell."""
    place, found, longest = os.path.realpath(folder), "", -1
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        # Spaces and other characters in names are written as octal numbers.
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), before.split()[4])
        inside = point in ("/", place) or place.startswith(f"{point}/")
        if inside and len(point) >= longest:  # a later mount hides an earlier one at the same place
            found, longest = after.split()[0], len(point)
    return found


def strangers(processes: Iterable[int]) -> list[int]:
    """Return the processes that do not exist in this process's PID namespace."""
    found = []
    for process in processes:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            found.append(process)
        except PermissionError:
            pass  # it is another user's
    return found
