"""Files and manifest of an index folder, and their checks.

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

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from ninefold.host.digests import remembered_sha256, sha256_of
from ninefold.spec.cache import data_folder
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.formats import MACRO_CLUSTERS, MICRO_CLUSTERS

from .settings import Setting

__all__ = [
    "CLUSTERS",
    "FILES",
    "MANIFEST",
    "NITS",
    "OFFSETS",
    "TEXTS",
    "VECTORS",
    "VERSION",
    "FileRecord",
    "Manifest",
    "locate",
    "sha256_of",
]

MANIFEST: Final = "manifest.json"
NITS: Final = "nits.npy"
VECTORS: Final = "vectors.npy"
TEXTS: Final = "texts.jsonl"
OFFSETS: Final = "offsets.npy"
#: Files of the clusters.
CLUSTERS: Final = ("order.npy", "starts.npy", "macro.npy", "micro.npy")
#: Names of all files that the folder of an index may hold.
FILES: Final = frozenset({MANIFEST, NITS, VECTORS, TEXTS, OFFSETS, *CLUSTERS})

FORMAT: Final = "ninefold index"
VERSION: Final = 1


def locate(name: str) -> Path:
    """Return the folder of an index.

    Parameters
    ----------
    name : str
        Path if it contains a ``/``, otherwise a name in the folder ``indexes`` of the data folder.

    Raises
    ------
    InputError
        For an invalid name.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of an index must be a string, not {name!r}")
    if "/" in name:
        return Path(name).expanduser()
    if not name or name.startswith(".") or not name.isprintable():
        raise InputError(f"the name of an index must be printable and not begin with a dot, not {name!r}")
    return data_folder() / "indexes" / name


@dataclass(frozen=True)
class FileRecord:
    """Expected size and checksum of a file of the index.

    Attributes
    ----------
    bytes : int
        Size of the file.
    sha256 : str
        SHA-256 of the content, in hexadecimal.
    """

    bytes: int
    sha256: str

    def check(self, path: Path) -> None:
        """Raise `DamagedDataError` unless the file is as recorded."""
        if not path.is_file():
            raise DamagedDataError(f"{path} is missing; rebuild the index")
        size = path.stat().st_size
        if size != self.bytes:
            what = "truncated" if size < self.bytes else "damaged"
            raise DamagedDataError(f"{path} is {what}: {size} bytes, not {self.bytes}; rebuild the index")
        if remembered_sha256(path) != self.sha256:
            raise DamagedDataError(f"{path} is damaged: its SHA-256 is not the recorded one; rebuild the index")


@dataclass(frozen=True)
class Manifest:
    """Properties of an index.

    Attributes
    ----------
    rows, dimensions : int
        Number of entries, and of numbers in each.
    mode : str
        Thresholds of the quantiser.
    scale : float
        Factor by which numbers are multiplied before they are quantised.
    digest : str
        Digest by which devices identify the `Database`.
    source : str
        Source that was indexed.
    skipped : int
        Number of entries of the source that were skipped.
    model : str
        Identity of the model that embedded the texts; empty for an index of vectors.
    ninefold : str
        Ninefold version that wrote the index.
    files : mapping of str to FileRecord
        Records of all other files, by name.
    centroid_scale : float or None
        Factor by which centroids were multiplied before they were quantised; None without clusters.
    settings : tuple of Setting
        Settings of a search with their measured recall, the cheapest first; empty if none was measured.
    """

    rows: int
    dimensions: int
    mode: str
    scale: float
    digest: str
    source: str
    skipped: int
    model: str
    ninefold: str
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    centroid_scale: float | None = None
    settings: tuple[Setting, ...] = ()

    @property
    def attributes(self) -> dict[str, int | float | str]:
        """Attributes of the `Database`."""
        found: dict[str, int | float | str] = {"rows": self.rows, "dimensions": self.dimensions}
        found |= {"scale": self.scale, "mode": self.mode}
        return found if self.centroid_scale is None else {**found, "centroid_scale": self.centroid_scale}

    @property
    def arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of the arrays of the `Database`, by the names of their files; some may be absent."""
        packed, lists = (self.dimensions + 1) // 2, MACRO_CLUSTERS * MICRO_CLUSTERS
        clusters = (((self.rows,), "int64"), ((lists + 1,), "int64"), ((MACRO_CLUSTERS, packed), "uint8"))
        return {
            NITS: ((self.rows, packed), "uint8"),
            VECTORS: ((self.rows, self.dimensions), "float16"),
            **dict(zip(CLUSTERS, (*clusters, ((lists, packed), "uint8")), strict=True)),
        }

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        content["sha256"] = _digest(content)
        (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check ``manifest.json``, without checking the files it lists.

        Raises
        ------
        InputError
            If there is no index.
        DamagedDataError
            If it is damaged, belongs to another program, or has another format version.
        """
        path = folder / MANIFEST
        if not folder.exists():
            raise InputError(f"there is no index {folder}; `ninefold index SOURCE -o NAME` builds one")
        if not path.is_file():
            raise DamagedDataError(f"{folder} is not an index: it has no {MANIFEST}")
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise DamagedDataError(f"{path} is damaged: it is not JSON ({error}); rebuild the index") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DamagedDataError(f"{path} is not the manifest of a Ninefold index")
        if content.get("version") != VERSION:
            raise DamagedDataError(f"{path} has format version {content.get('version')}; this Ninefold reads {VERSION}")
        if content.pop("sha256", None) != _digest(content):
            raise DamagedDataError(f"{path} is damaged: its SHA-256 is not the recorded one; rebuild the index")
        del content["format"], content["version"]
        try:
            files = {name: FileRecord(**record) for name, record in content.pop("files").items()}
            settings = tuple(Setting(**setting) for setting in content.pop("settings", ()))
            return cls(**content, files=files, settings=settings)
        except (TypeError, KeyError, AttributeError) as error:
            raise DamagedDataError(f"{path} is not the manifest of a Ninefold index: {error}") from error


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
