"""Vectors of a damaged index that can be read, with their entries."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DamagedDataError
from ninefold.spec.files import written_aside

from .manifest import Manifest
from .segments import SUFFIX, Segment

__all__ = ["SavedVectors", "line_of"]


class SavedVectors:
    """Entries that are read from the tables, until their vectors are found in the segments or among the rows in none.

    Parameters
    ----------
    manifest : Manifest
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._entries: dict[int, dict[str, Any]] = {}
        self._tail: dict[int, npt.NDArray[np.float16]] = {}

    def take(self, told: dict[str, Any]) -> None:
        """Keep what `ninefold.host.index.salvage` prints of an entry, or of a row in no segment."""
        if "entry" in told:
            self._entries[told["sequence"]] = told["entry"]
        else:
            vector = np.frombuffer(base64.b64decode(told["vector"]), np.float16)
            if len(vector) == self._manifest.dimensions:
                self._tail[told["tail"]] = vector

    def write(self, path: Path, folder: Path, listed: dict[str, int] | None) -> int:
        """Write the vectors, and beside them the entries; return their number.

        Parameters
        ----------
        path : Path
            File of the vectors, whose name ends with ``.npy``.
        folder : Path
            Folder of the segments.
        listed : dict of str to int, or None
            Segments by digest; None for all files. Damaged ones are left out.
        """
        vectors = dict(self._tail)
        if listed is None:
            listed = {one.stem: 0 for one in folder.glob(f"*{SUFFIX}")}
        for digest in listed:
            with contextlib.suppress(DamagedDataError):
                Segment.verify(folder, digest)
                segment = Segment.open(folder, digest, self._manifest.declared)
                rows = segment.database.arrays["vectors"]
                vectors |= {n: rows[at] for at, n in enumerate(segment.sequence.tolist()) if n in self._entries}
        numbers = sorted(self._entries.keys() & vectors.keys())
        found = np.zeros((len(numbers), self._manifest.dimensions), np.float16)
        for at, number in enumerate(numbers):
            found[at] = vectors[number]
        with written_aside(path) as aside, aside.open("wb") as file:
            np.save(file, found)
        with written_aside(path.with_suffix(".jsonl")) as aside, aside.open("w", encoding="utf-8") as lines:
            lines.writelines(f"{line_of(self._entries[number])}\n" for number in numbers)
        return len(numbers)


def line_of(record: dict[str, Any]) -> str:
    """Return the record of an entry as a line of a source."""
    rest = {name: value for name, value in record.items() if name != "fields"}
    return json.dumps({**record.get("fields", {}), **rest}, ensure_ascii=False)
