"""Name and fixed identity of an index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from ninefold.host.sources import DeclaredField
from ninefold.host.sources.declared import FieldType
from ninefold.spec.cache import data_folder
from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.terminal import printable

__all__ = [
    "FORMAT",
    "MANIFEST",
    "VERSION",
    "Manifest",
    "called",
    "checksum",
    "indexes",
    "locate",
    "missing",
    "read_manifest",
]

MANIFEST: Final = "manifest.json"
FORMAT: Final = "ninefold index"
#: Version of the format that is written. Version 1 is read too; see `ninefold.host.index.version1`.
VERSION: Final = 2
#: Indexes that an error lists.
_LISTED: Final = 20


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


def called(folder: Path) -> str:
    """Return the name by which `locate` finds a folder: its own in the data folder, otherwise its path."""
    return folder.name if folder.parent == data_folder() / "indexes" else str(folder)


def indexes() -> list[Path]:
    """Return the folders of the indexes in the data folder, in the order of their names."""
    home = data_folder() / "indexes"
    there = home.iterdir() if home.is_dir() else ()
    return sorted(path for path in there if path.is_dir() and not path.name.startswith("."))


@dataclass(frozen=True)
class Manifest:
    """Properties that an index keeps as long as it exists.

    Attributes
    ----------
    dimensions : int
        Numbers in a vector.
    model : str
        Identity of the model that embeds the texts; empty for an index of vectors.
    vectors : bool
        Whether segments keep float16 vectors.
    fields : mapping of str to str
        Declared fields, with their types.
    contexts : bool
        True for an index of context vectors: each entry has a ``Vector6D`` record, and its vector is the embedding
        of that record, divided by its length.
    """

    dimensions: int
    model: str
    vectors: bool = True
    fields: Mapping[str, str] = field(default_factory=dict)
    contexts: bool = False

    @property
    def declared(self) -> tuple[DeclaredField, ...]:
        """Declared fields, of which segments have columns."""
        return tuple(DeclaredField(name, cast(FieldType, kind)) for name, kind in self.fields.items())

    @property
    def tail_dtype(self) -> str:
        """Dtype of the vectors of rows in no segment: float32 if their nits are all that is kept in the end."""
        return "float16" if self.vectors else "float32"

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``."""
        content: dict[str, Any] = {"format": FORMAT, "version": VERSION, **asdict(self)}
        if not self.contexts:
            del content["contexts"]  # earlier versions can read the index
        content["sha256"] = checksum(content)
        (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, content: Mapping[str, Any], folder: Path) -> Manifest:
        """Return the manifest with the content of `read_manifest`, in version 2."""
        try:
            return cls(**{key: value for key, value in content.items() if key not in ("format", "version", "sha256")})
        except TypeError as error:
            raise DamagedDataError(f"{folder / MANIFEST} is not the manifest of a Ninefold index: {error}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the content of ``manifest.json`` after checking its checksum and version.

    Raises
    ------
    InputError
        If there is no index.
    DamagedDataError
        If it is damaged, belongs to another program, or has another format version.
    """
    path = folder / MANIFEST
    if not folder.exists():
        raise missing(folder)
    if not path.is_file():
        raise DamagedDataError(f"{folder} is not an index: it has no {MANIFEST}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedDataError(f"{path} is damaged: it is not JSON ({error}); rebuild the index") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DamagedDataError(f"{path} is not the manifest of a Ninefold index")
    if content.get("version") not in (1, VERSION):
        raise DamagedDataError(
            f"{path} has format version {content.get('version')}; this Ninefold reads 1 and {VERSION}"
        )
    if content.get("sha256") != checksum({key: value for key, value in content.items() if key != "sha256"}):
        raise DamagedDataError(f"{path} is damaged: its SHA-256 is not the recorded one; rebuild the index")
    return content


def missing(folder: Path) -> InputError:
    """Return the error for an index that does not exist, with the indexes beside it."""
    said = f"there is no index {called(folder)}"
    there = sorted(path.parent.name for path in folder.parent.glob(f"[!.]*/{MANIFEST}"))
    if not there:
        return InputError(f"{said}; `ninefold index SOURCE -o NAME` builds one")
    more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
    return InputError(printable(f"{said}, only {', '.join(there[:_LISTED])}{more}"))


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the content of a manifest."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
