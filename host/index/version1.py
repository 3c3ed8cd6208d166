"""Indexes of format version 1, which are read and not written: one folder of arrays, replaced whole.

================  ===================================================================================
``nits.npy``      uint8 (rows, ceil(dimensions / 2)), packed nits
``vectors.npy``   float16 (rows, dimensions), for reranking; optional
``texts.jsonl``   one JSON object per row: ``id``, ``title``, ``text``; absent for vectors
``offsets.npy``   int64 (rows + 1,), offset of each line of ``texts.jsonl``
``order.npy``     and ``starts.npy``, ``macro.npy``, ``micro.npy``: clusters, as ``mine`` has them; optional
``manifest.json`` everything else, and the size and SHA-256 of the other files
================  ===================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.arrays import mapped
from ninefold.host.digests import remembered_sha256
from ninefold.host.sources import Entry
from ninefold.spec.data import Database
from ninefold.spec.errors import DamagedDataError
from ninefold.spec.formats import MACRO_CLUSTERS, MICRO_CLUSTERS

from .manifest import MANIFEST, Manifest
from .parts import Part, Parts
from .settings import Setting
from .tables import Generation

__all__ = ["FILES", "Version1"]

_NITS: Final = "nits.npy"
_VECTORS: Final = "vectors.npy"
_TEXTS: Final = "texts.jsonl"
_OFFSETS: Final = "offsets.npy"
_CLUSTERS: Final = ("order.npy", "starts.npy", "macro.npy", "micro.npy")
#: Names of all files that the folder may hold.
FILES: Final = frozenset({MANIFEST, _NITS, _VECTORS, _TEXTS, _OFFSETS, *_CLUSTERS})


@dataclass(frozen=True, eq=False)
class Version1:
    """Open index of version 1, memory-mapped.

    Attributes
    ----------
    folder : Path
    manifest : Manifest
    generation : Generation
    parts : Parts
        One part; sequence numbers are rows.
    """

    folder: Path
    manifest: Manifest
    generation: Generation
    parts: Parts
    _texts: npt.NDArray[np.uint8] | None
    _offsets: npt.NDArray[np.int64] | None

    @classmethod
    def open(cls, folder: Path, content: Mapping[str, Any], *, verify: bool = True) -> Version1:
        """Map the files of a folder.

        Parameters
        ----------
        folder : Path
        content : mapping
            Its checked manifest.
        verify : bool
            Compare the SHA-256 of every file with the manifest; unchanged files are not read again.

        Raises
        ------
        DamagedDataError
            A file is missing or damaged; the message names it.
        """
        try:
            rows, dimensions, model = (content[name] for name in ("rows", "dimensions", "model"))
            settings = tuple(Setting(**setting) for setting in content.get("settings", ()))
            kept = {name: content[name] for name in ("mode", "scale", "source", "skipped", "ninefold")}
            generation = Generation(1, **kept, centroid_scale=content.get("centroid_scale"), settings=settings)
            records = {name: (record["bytes"], record["sha256"]) for name, record in content["files"].items()}
            digest = content["digest"]
        except (TypeError, KeyError, AttributeError) as error:
            raise DamagedDataError(f"{folder / MANIFEST} is not the manifest of a Ninefold index: {error}") from error
        needed = {_NITS} | ({_TEXTS, _OFFSETS} if model else set())
        needed |= set() if generation.centroid_scale is None else set(_CLUSTERS)
        for missing in sorted(needed - set(records)):
            raise DamagedDataError(f"{folder} is an incomplete index: its manifest lists no {missing}")
        for name, (size, sha256) in records.items():
            _check(folder / name, size, sha256 if verify else None)
        arrays = {
            name.removesuffix(".npy"): _array(folder / name, shape, dtype)
            for name, (shape, dtype) in _shapes(rows, dimensions).items()
            if name in records
        }
        database = Database(arrays, generation.attributes(rows, dimensions), digest)
        parts = Parts([Part(database, np.arange(rows))])
        texts = _bytes(folder / _TEXTS) if model else None
        offsets = _array(folder / _OFFSETS, (rows + 1,), "int64") if model else None
        return cls(folder, Manifest(dimensions, model, "vectors" in arrays), generation, parts, texts, offsets)

    def entry(self, row: int) -> Entry:
        """Return the entry of a row."""
        if self._texts is None or self._offsets is None:
            return Entry(str(row), f"row {row}", "")
        begin, end = (int(offset) for offset in self._offsets[row : row + 2])
        try:
            if not 0 <= begin <= end <= len(self._texts):
                raise ValueError(f"bytes {begin} to {end}")
            return Entry(**json.loads(self._texts[begin:end].tobytes()))
        except (ValueError, TypeError, RecursionError) as error:
            path = self.folder / _TEXTS
            raise DamagedDataError(f"{path} is damaged: row {row} is not an entry; rebuild the index") from error

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in the order of their rows."""
        return (self.entry(row) for row in range(len(self.parts)))

    def row(self, name: str) -> int | None:
        """Return the last row with an id, or None."""
        rows = range(len(self.parts))
        return next((row for row in reversed(rows) if self.entry(row).id == name), None)


def _shapes(rows: int, dimensions: int) -> dict[str, tuple[tuple[int, ...], str]]:
    packed, lists = (dimensions + 1) // 2, MACRO_CLUSTERS * MICRO_CLUSTERS
    clusters = (((rows,), "int64"), ((lists + 1,), "int64"), ((MACRO_CLUSTERS, packed), "uint8"))
    return {
        _NITS: ((rows, packed), "uint8"),
        _VECTORS: ((rows, dimensions), "float16"),
        **dict(zip(_CLUSTERS, (*clusters, ((lists, packed), "uint8")), strict=True)),
    }


def _check(path: Path, size: int, sha256: str | None) -> None:
    """Raise `DamagedDataError` unless a file has its recorded size and, if given, SHA-256."""
    if not path.is_file():
        raise DamagedDataError(f"{path} is missing; rebuild the index")
    found = path.stat().st_size
    if found != size:
        what = "truncated" if found < size else "damaged"
        raise DamagedDataError(f"{path} is {what}: {found} bytes, not {size}; rebuild the index")
    if sha256 is not None and remembered_sha256(path) != sha256:
        raise DamagedDataError(f"{path} is damaged: its SHA-256 is not the recorded one; rebuild the index")


def _bytes(path: Path) -> npt.NDArray[np.uint8]:
    try:
        return np.memmap(path, np.uint8, "r")
    except ValueError as error:  # an empty file cannot be mapped
        raise DamagedDataError(f"{path} is truncated: {error}; rebuild the index") from error


def _array(path: Path, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    try:
        array = mapped(path)
    except ValueError as error:
        raise DamagedDataError(f"{path} is damaged: {error}; rebuild the index") from error
    if array.shape != shape or array.dtype.name != dtype:
        raise DamagedDataError(
            f"{path} is damaged: it holds {array.dtype.name} {array.shape}, not {dtype} {shape}; rebuild the index"
        )
    return array
