"""Check of the pages by which LMDB finds others, before it opens a file: on damaged ones it would abort the process.

A tree of LMDB's has few pages that lead to others, about one in a hundred. They are read and checked without LMDB, with
the headers of the leaves of small trees. A writer may change them meanwhile, so a flaw found here is only a reason to
look closer, in another process.

The layout is LMDB's data version 1 on 64-bit machines: a page begins with its number (8 bytes), 2 unused bytes,
flags, and the bounds of its free space; then come the offsets of its nodes. A node begins with the low, middle and high
16 bits of a page's number.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["flaw_of"]

_HEADER: Final = struct.Struct("<QHHHH")
#: Magic number, version and page size of a version's page, from its 16th byte on; then its trees begin.
_META: Final = struct.Struct("<IIQQI")
_MAGIC: Final = 0xBEEFC0DE
#: Unused, flags, depth, numbers of pages that lead to others, of leaves and of overflow pages, entries, first page.
_TREE: Final = struct.Struct("<IHHQQQQQ")
_TREES: Final = 40
_LAST: Final = struct.Struct("<QQ")
_LEADS, _LEAF, _VERSION, _DIRTY = 0x01, 0x02, 0x08, 0x10
_NONE: Final = (1 << 64) - 1
#: Flag of a node whose value is a tree.
_HAS_TREE: Final = 0x02
#: Levels that a tree has at most.
_DEEPEST: Final = 32
_NODE: Final = struct.Struct("<HHHH")
#: Largest number of leaves whose headers are read; more would take longer than the rest of opening.
_LEAVES: Final = 4096


class _FlawError(Exception):
    """Something that LMDB does not write."""


class _EndError(Exception):
    """The file ends early, which `Environment` reports."""


@dataclass(frozen=True)
class _File:
    """Open file of pages.

    Attributes
    ----------
    file : int
    size : int
        Size of a page in bytes.
    last : int
        Last page in use.
    """

    file: int
    size: int
    last: int

    def page(self, number: int, flag: int) -> tuple[bytes, tuple[int, ...]]:
        """Return a page of nodes, and the offsets of its nodes."""
        if not 2 <= number <= self.last:
            raise _FlawError(f"it leads to page {number}, and the last one is {self.last}")
        page = os.pread(self.file, self.size, number * self.size)
        if len(page) < self.size:
            raise _EndError
        itself, _, flags, lower, upper = _HEADER.unpack_from(page)
        if itself != number or flags & ~_DIRTY != flag or not _HEADER.size <= lower <= upper <= self.size or lower % 2:
            raise _FlawError(f"page {number} is not what the pages that lead to it expect")
        offsets = struct.unpack_from(f"<{(lower - _HEADER.size) // 2}H", page, _HEADER.size)
        if flag == _LEADS and len(offsets) < 2:
            raise _FlawError(f"page {number} leads to fewer than two others")
        if not all(upper <= offset <= self.size - _NODE.size for offset in offsets):
            raise _FlawError(f"page {number} has nodes outside of it")
        return page, offsets

    def walk(self, tree: bytes) -> list[int]:
        """Check the pages of a tree that lead to others; return its leaves."""
        _, _, depth, leading, leaves, _, _, root = _TREE.unpack(tree)
        if root == _NONE:
            return []
        if not 1 <= depth <= _DEEPEST:
            raise _FlawError(f"a tree has {depth} levels")
        level, read = [root], 0
        for _ in range(depth - 1):
            below: list[int] = []
            for number in level:
                page, offsets = self.page(number, _LEADS)
                for offset in offsets:
                    low, middle, high, _ = _NODE.unpack_from(page, offset)
                    below.append(low | middle << 16 | high << 32)
            read += len(level)
            level = below
            if read > leading or len(level) > leading + leaves:
                raise _FlawError(f"a tree has more than its {leading} pages that lead to others")
        if outside := [number for number in level if not 2 <= number <= self.last]:
            raise _FlawError(f"it leads to page {outside[0]}, and the last one is {self.last}")
        for number in level if len(level) <= _LEAVES else ():
            self._leaf(number)
        return level

    def _leaf(self, number: int) -> None:
        """Check the header of a leaf."""
        header = os.pread(self.file, _HEADER.size, number * self.size)
        if len(header) < _HEADER.size:
            raise _EndError
        itself, _, flags, lower, upper = _HEADER.unpack(header)
        if itself != number or flags & ~_DIRTY != _LEAF or not _HEADER.size <= lower <= upper <= self.size or lower % 2:
            raise _FlawError(f"page {number} is no leaf of the tree that leads to it")

    def check(self, meta: bytes) -> None:
        """Check all trees of a version."""
        for at in range(2):  # of unused pages, and of the names of trees
            leaves = self.walk(meta[_TREES + at * _TREE.size : _TREES + (at + 1) * _TREE.size])
            for number in leaves if at else ():
                page, offsets = self.page(number, _LEAF)
                for offset in offsets:
                    _, _, flags, key = _NODE.unpack_from(page, offset)
                    first = offset + _NODE.size + key
                    if flags & _HAS_TREE and first + _TREE.size <= self.size:
                        self.walk(page[first : first + _TREE.size])


def flaw_of(path: Path) -> str:
    """Return what is wrong with the pages that lead to others; empty if nothing is, or if a writer came between.

    Call it only while this process has not opened the file with LMDB, whose locks a second open and close would drop.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        first = os.pread(file, 4096, 0)
        magic, version, _, _, size = _META.unpack_from(first, _HEADER.size)
        if magic != _MAGIC or version != 1 or size not in (1 << n for n in range(9, 17)):
            return ""  # LMDB refuses it
        metas = [first, os.pread(file, 4096, size)]
        last, _ = max((_LAST.unpack_from(m, _TREES + 2 * _TREE.size) for m in metas), key=lambda pair: pair[1])
        meta = max(metas, key=lambda m: _LAST.unpack_from(m, _TREES + 2 * _TREE.size)[1])
        _File(file, size, last).check(meta)
    except (_FlawError, struct.error) as flaw:
        return str(flaw)
    except _EndError:
        return ""
    finally:
        os.close(file)
    return ""
