"""Conversion of indexes of format version 1."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace

import numpy as np

from ninefold.host.sources import Entry

from .atomic import new_folder, recover
from .manifest import locate, read_manifest
from .segments import Stream
from .version1 import Version1
from .write import create
from .writer import Writer

__all__ = ["convert"]


def convert(name: str) -> list[str]:
    """Replace an index of version 1 by one of the current version; leave any other as it is.

    Nits, vectors, clusters and settings are copied. Of entries with the same id, all but the last get a suffix.

    Parameters
    ----------
    name : str
        Name or path of the index.

    Returns
    -------
    list of str
        Lines that tell what was changed.
    """
    folder = locate(name)
    recover(folder)
    content = read_manifest(folder)
    if content["version"] != 1:
        return []
    old = Version1.open(folder, content)
    entries, renamed = _with_own_ids([old.entry(row) for row in range(len(old.parts))])
    arrays = old.parts.database.arrays
    columns = {name: Stream.of(np.asarray(array)) for name, array in arrays.items()}
    centroids = (np.asarray(arrays["macro"]), np.asarray(arrays["micro"])) if "macro" in arrays else None
    with new_folder(folder) as work:
        old.manifest.write(work)
        with contextlib.closing(create(work, old.manifest)) as store:
            writer = Writer(store)
            try:
                writer.replace(old.generation, entries, columns, centroids, lambda _: replace(old.generation))
            finally:
                writer.close()
    said = [f"converted from format version 1: {len(entries)} entries"]
    return [*said, f"{renamed} repeated ids got a suffix, such as ~2"] if renamed else said


def _with_own_ids(entries: list[Entry]) -> tuple[list[Entry], int]:
    """Return entries with different ids, and the number that got a suffix: all but the last with an id."""
    last = {entry.id: row for row, entry in enumerate(entries)}
    taken, count, found = set(last), Counter[str](), []
    for row, entry in enumerate(entries):
        if last[entry.id] != row:
            while (name := f"{entry.id}~{count[entry.id] + 2}") in taken:
                count[entry.id] += 1
            taken.add(name)
            found.append(replace(entry, id=name))
        else:
            found.append(entry)
    return found, sum(a.id != b.id for a, b in zip(entries, found, strict=True))
