"""Recorded file operations of a writer, replayed to every prefix as a loss of power may leave them.

A child process changes an index while a library (``recorder.cpp``) records its file operations. `states` then makes the
folders that a loss of power after each of them may leave:

- Data that was synced is there: up to the last ``fsync`` or ``fdatasync`` of the file, and each write with ``O_DSYNC``
  once it has returned.
- A later write is dropped, whole, or torn: each sector of 512 bytes is old or new. Beyond the last synced size, a file
  may end anywhere up to its new size, and a sector that is not new is zeros.
- Names that were made, moved or removed in a folder since it was last synced are lost from some operation on. Folders
  are independent of each other, and a name may be lost although the data of its file was synced.
- The operation after the prefix was under way: a durable write may be torn too.

Not covered: file systems that lose names out of order within one folder, and disks that change what was synced.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from ninefold.host.backends.cpu.kernel import compile_shared, compiler

__all__ = ["HOWS", "Operation", "States", "recorded", "recorder"]

_HEADER: Final = struct.Struct("<c3xIIIQ")
_SECTOR: Final = 512

#: Fates of what was not synced.
HOWS: Final = ("dropped", "whole", "torn", "torn differently")


@dataclass(frozen=True)
class Operation:
    """Recorded operation.

    Attributes
    ----------
    kind : str
        Letter of `Header` in ``recorder.cpp``.
    path, to : str
        Path below the recorded folder, and the new one of a rename.
    offset : int
        Offset of a write, or size after a truncation.
    data : bytes
        Data of a write.
    """

    kind: str
    path: str
    to: str
    offset: int
    data: bytes


def recorder(folder: Path) -> Path:
    """Compile the recorder in a folder, and return the library."""
    source = Path(__file__).with_name("recorder.cpp")
    (folder / source.name).write_bytes(source.read_bytes())
    compile_shared(compiler(), ("-std=c++17", "-O1", "-shared", "-fPIC"), [source.name], "recorder.so", folder)
    return folder / "recorder.so"


def recorded(library: Path, folder: Path, log: Path, words: Sequence[str]) -> list[Operation]:
    """Run a Python program and return its operations below a folder, in order.

    Raises
    ------
    AssertionError
        The program failed, or its operations do not make the folder again.
    """
    before = States(folder)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    environment |= {"NINEFOLD_RECORD": str(log), "NINEFOLD_RECORDED": f"{folder.resolve()}/"}
    ended = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    operations = list(_read(log.read_bytes(), f"{folder.resolve()}/"))
    for operation in operations:
        before.apply(operation)
    there = States(folder)
    wrong = {path for path in before.tree.keys() | there.tree.keys() if before.content(path) != there.content(path)}
    assert not wrong, f"the recording does not make {sorted(wrong)}"
    return operations


def _read(log: bytes, below: str) -> Iterator[Operation]:
    at = 0
    while at < len(log):
        kind, first, second, size, offset = _HEADER.unpack_from(log, at)
        at += _HEADER.size
        parts = []
        for length in (first, second, size):
            parts.append(log[at : at + length])
            at += length
        path, to = (part.decode().removeprefix(below) for part in parts[:2])
        if not _mapped(path):
            yield Operation(kind.decode(), path, to, offset, parts[2])


def _mapped(path: str) -> bool:
    """Return True for LMDB's file of locks, which is mapped memory and is made again after a restart."""
    return path.endswith("lock.mdb")


@dataclass
class _File:
    """Content of a file: what is on the disk, and the writes since."""

    synced: bytearray = field(default_factory=bytearray)
    #: Offset, data (None for a truncation), and whether the write itself was durable.
    writes: list[tuple[int, bytes | None, bool]] = field(default_factory=list)

    def sync(self) -> None:
        self.synced, self.writes = self.content(None), []

    def content(self, random: np.random.Generator | None, how: str = "whole") -> bytearray:
        """Return the content with each write that was not synced dropped, whole or torn."""
        found = bytearray(self.synced)
        for offset, data, durable in self.writes:
            if not durable and how == "dropped":
                continue
            if data is None:
                del found[offset:]
                found.extend(bytes(offset - len(found)))
                continue
            left = data
            if not durable and how.startswith("torn"):
                assert random is not None
                size = len(data)
                if offset + size > len(found):
                    # The file may be shorter than the write would have made it.
                    size = int(random.integers(max(0, len(found) - offset), size + 1))
                left = self._torn(found, offset, data[:size], random)
            if offset > len(found):
                found.extend(bytes(offset - len(found)))
            found[offset : offset + len(left)] = left
        return found

    @staticmethod
    def _torn(found: bytearray, offset: int, data: bytes, random: np.random.Generator) -> bytes:
        """Return what a torn write leaves in its place."""
        old = bytes(found[offset : offset + len(data)])
        torn = bytearray(old + bytes(len(data) - len(old)))
        first = offset // _SECTOR
        for sector in range(first, (offset + len(data) - 1) // _SECTOR + 1 if data else first):
            if random.integers(2):
                start = max(0, sector * _SECTOR - offset)
                end = (sector + 1) * _SECTOR - offset
                torn[start:end] = data[start:end]
        return bytes(torn)


class States:
    """Files below a folder, and what a loss of power may leave of them.

    Parameters
    ----------
    folder : Path
        Folder whose content is on the disk at the beginning.
    """

    def __init__(self, folder: Path) -> None:
        #: Files by path, None for a folder; as a process sees them, and as they are on the disk.
        self.tree: dict[str, _File | None] = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if not _mapped(name):
                self.tree[name] = None if path.is_dir() else _File(bytearray(path.read_bytes()))
        self._on_disk = dict(self.tree)
        #: Operations on the names of each folder since it was synced, and the file of each.
        self._names: dict[str, list[tuple[Operation, _File | None]]] = {}

    def content(self, path: str) -> bytes | None:
        """Return the content of a file as a process sees it; None if there is none, or for a folder."""
        file = self.tree.get(path)
        return None if file is None else bytes(file.content(None))

    def apply(self, operation: Operation) -> None:
        """Make an operation.

        Raises
        ------
        AssertionError
            A folder is renamed whose names were not synced, or a file moves to another folder: neither is modelled.
        """
        kind, path = operation.kind, operation.path
        if kind in "CMURX":
            made = _File() if kind == "C" else self.tree.get(path)
            _renamed(self.tree, operation, made)
            self._names.setdefault(_folder(path), []).append((operation, made))
            assert not any(name.startswith(f"{path}/") or name == path for name in self._names), f"{path} is not synced"
            assert kind != "R" or _folder(operation.to) == _folder(path), f"{path} moves to another folder"
        elif kind == "S" and self.tree.get(path) is None:
            for done, made in self._names.pop(path, []):
                _renamed(self._on_disk, done, made)
        else:
            file = self.tree[path]
            assert file is not None
            if kind == "S":
                file.sync()
            else:
                file.writes.append((operation.offset, None if kind == "T" else operation.data, kind == "D"))

    def left(self, folder: Path, how: str, random: np.random.Generator, under_way: Operation | None) -> None:
        """Write what may be left into an empty folder.

        Parameters
        ----------
        folder : Path
        how : str
            One of `HOWS`.
        random : Generator
            Chooses what is torn, and which names are lost.
        under_way : Operation or None
            Write that had not returned.
        """
        tree = dict(self._on_disk)
        for done in self._names.values():
            kept = {"dropped": 0, "whole": len(done)}.get(how, int(random.integers(len(done) + 1)))
            for operation, made in done[:kept]:
                _renamed(tree, operation, made)
        part = self.tree.get(under_way.path) if under_way is not None and under_way.kind in "WD" else None
        if part is not None and under_way is not None:
            part.writes.append((under_way.offset, under_way.data, False))
        try:
            for path, file in sorted(tree.items()):
                target = folder / path
                if not target.parent.is_dir():
                    continue  # the name of its folder is lost
                if file is None:
                    target.mkdir()
                else:
                    target.write_bytes(file.content(random, how))
        finally:
            if part is not None:
                part.writes.pop()


def _renamed(tree: dict[str, _File | None], operation: Operation, made: _File | None) -> None:
    """Make an operation on names in a tree, where a file is the same object as in every other tree."""
    kind, path, to = operation.kind, operation.path, operation.to
    if kind in "CM":
        tree[path] = made
    elif kind == "R":
        for name in [name for name in tree if name == path or name.startswith(f"{path}/")]:
            tree[to + name[len(path) :]] = tree.pop(name)
    else:
        tree.pop(path, None)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
