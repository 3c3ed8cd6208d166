"""Segments: immutable files of rows that are searched, one `Database` each.

A segment holds arrays one after another, each from a multiple of 64 bytes, then a header in JSON, its SHA-256, its
length and a mark. The header states every array's dtype, shape, offset and SHA-256, so its own SHA-256 identifies the
content: it is the digest of the `Database` and the name of the file. Arrays are the ones that the operator
``mine`` declares, and:

``sequence``
    int64 (rows,), ascending: sequence number of each row. Numbers are never used again, so a row is found by its number
    whichever segment it has moved to.
``field/NAME/present``, ``.../values``, ``.../words``, ``.../starts``
    Column of each declared field, as `ninefold.host.index.columns.FieldColumn` describes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.sources import DeclaredField
from ninefold.spec.data import Database
from ninefold.spec.errors import DamagedDataError
from ninefold.spec.files import sync

from .columns import FieldColumn

__all__ = ["FOLDER", "SUFFIX", "Segment", "Stream", "field_streams", "write"]

#: Folder of an index's segments.
FOLDER: Final = "segments"
SUFFIX: Final = ".segment"
PARTIAL: Final = ".partial"
_FIELD: Final = "field/"

_MARK: Final = b"ninefold segment 1\n"
_ALIGNED: Final = 64
#: SHA-256 of the header, its length, and the mark, at the end of the file.
_TRAILER: Final = struct.Struct(f"<32sQ{len(_MARK)}s")
_LARGEST_HEADER: Final = 1 << 20


@dataclass(frozen=True)
class Stream:
    """Array to write, block by block.

    Attributes
    ----------
    dtype : str
        Name of the dtype.
    shape : tuple of int
    blocks : iterable of array
        Its content in order.
    """

    dtype: str
    shape: tuple[int, ...]
    blocks: Iterable[npt.NDArray[Any]]

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> Stream:
        """Return the stream of one array."""
        return cls(array.dtype.name, array.shape, (array,))


@dataclass(frozen=True, eq=False)
class Segment:
    """Open segment, memory-mapped.

    Attributes
    ----------
    digest : str
        SHA-256 of the header, in hexadecimal.
    bytes : int
        Size of the file.
    database : Database
    sequence : int64 array of shape (rows,)
        Sequence numbers, ascending.
    columns : mapping of str to FieldColumn
        Columns of the declared fields.
    """

    digest: str
    bytes: int
    database: Database
    sequence: npt.NDArray[np.int64]
    columns: Mapping[str, FieldColumn]

    def __len__(self) -> int:
        return len(self.sequence)

    @classmethod
    def open(cls, folder: Path, digest: str, declared: Iterable[DeclaredField] = ()) -> Segment:
        """Map a segment after checking its header and size.

        Parameters
        ----------
        folder : Path
            Folder of the segments.
        digest : str
        declared : iterable of DeclaredField
            Fields of which it has columns.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        DamagedDataError
            The file is damaged; the message names it.
        """
        path = folder / f"{digest}{SUFFIX}"
        with path.open("rb") as file:
            header, size = _header(path, file.fileno(), digest)
        # As a plain array: each slice of a `numpy.memmap` takes several times as long.
        content = np.asarray(np.memmap(path, np.uint8, "r")) if size else np.zeros(0, np.uint8)
        arrays = {name: _array(content, *described[:3]) for name, described in header["arrays"].items()}
        try:
            columns = {field.name: FieldColumn.of_arrays(field, _taken(arrays, field)) for field in declared}
        except DamagedDataError as error:
            raise DamagedDataError(f"{path}: {error}") from error
        sequence = arrays.pop("sequence")
        return cls(digest, size, Database(arrays, header["attributes"], digest), sequence, columns)

    @staticmethod
    def verify(folder: Path, digest: str) -> None:
        """Compare the SHA-256 of each array with the header.

        Raises
        ------
        DamagedDataError
            The file is missing or damaged; the message names it.
        """
        path = folder / f"{digest}{SUFFIX}"
        try:
            with path.open("rb") as file:
                header, _ = _header(path, file.fileno(), digest)
                for name, (dtype, shape, offset, sha256) in header["arrays"].items():
                    file.seek(offset)
                    content = file.read(_bytes_of(dtype, shape))
                    if hashlib.sha256(content).hexdigest() != sha256:
                        raise DamagedDataError(f"{path} is damaged: the SHA-256 of its {name} is not the recorded one")
        except FileNotFoundError:
            raise DamagedDataError(f"{path} is missing") from None


def field_streams(columns: Mapping[str, FieldColumn]) -> dict[str, Stream]:
    """Return the arrays by which a segment keeps the columns of declared fields."""
    return {
        f"{_FIELD}{name}/{part}": Stream.of(array)
        for name, column in columns.items()
        for part, array in column.arrays.items()
    }


def _taken(arrays: dict[str, npt.NDArray[Any]], field: DeclaredField) -> dict[str, npt.NDArray[Any]]:
    """Remove the arrays of a field's column, and return them."""
    first = f"{_FIELD}{field.name}/"
    named = [name for name in arrays if name.startswith(first) and "/" not in name[len(first) :]]
    return {name[len(first) :]: arrays.pop(name) for name in named}


def write(folder: Path, columns: Mapping[str, Stream], attributes: Mapping[str, int | float | str]) -> str:
    """Write a segment, sync it and its name to the disk, and return its digest.

    Parameters
    ----------
    folder : Path
        Folder of the segments.
    columns : mapping of str to Stream
        Arrays of the `Database`, and ``sequence``.
    attributes : mapping of str to int, float or str
        Attributes of the `Database`.

    Raises
    ------
    OSError
        The disk is full or cannot be written; no file is left.
    """
    aside = folder / f".{secrets.token_hex(8)}{PARTIAL}"
    try:
        with aside.open("xb") as file:
            described: dict[str, Any] = {}
            for name, column in columns.items():
                file.write(bytes(-file.tell() % _ALIGNED))
                offset, sha256 = file.tell(), hashlib.sha256()
                for block in column.blocks:
                    content = np.ascontiguousarray(block).reshape(-1).view(np.uint8).data
                    sha256.update(content)
                    file.write(content)
                described[name] = [column.dtype, list(column.shape), offset, sha256.hexdigest()]
            header = json.dumps({"arrays": described, "attributes": dict(attributes)}).encode()
            checked = hashlib.sha256(header)
            file.write(header + _TRAILER.pack(checked.digest(), len(header), _MARK))
            file.flush()
            os.fsync(file.fileno())
        digest = checked.hexdigest()
        aside.rename(folder / f"{digest}{SUFFIX}")
    except BaseException as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            # Errors of writes to an open file name no file, and hidden names mean nothing to the user.
            error.filename, error.filename2 = str(folder.parent), None
        raise
    sync(folder)
    return digest


def _header(path: Path, file: int, digest: str) -> tuple[dict[str, Any], int]:
    """Return the checked header of an open file, and the size of the file."""
    size = os.fstat(file).st_size
    trailer = os.pread(file, _TRAILER.size, max(0, size - _TRAILER.size))
    if len(trailer) < _TRAILER.size:
        raise DamagedDataError(f"{path} is truncated: it has {size} bytes")
    sha256, length, mark = _TRAILER.unpack(trailer)
    start = size - _TRAILER.size - length
    if mark != _MARK or not 0 < length <= _LARGEST_HEADER or start < 0:
        raise DamagedDataError(f"{path} is truncated or damaged: it does not end as a segment does")
    text = os.pread(file, length, start)
    if hashlib.sha256(text).digest() != sha256 or sha256.hex() != digest:
        raise DamagedDataError(f"{path} is damaged: the SHA-256 of its header is not the recorded one")
    header: dict[str, Any] = json.loads(text)
    end = max(offset + _bytes_of(dtype, shape) for dtype, shape, offset, _ in header["arrays"].values())
    if end != start:
        raise DamagedDataError(f"{path} is damaged: its arrays end at byte {end}, and its header is at {start}")
    return header, size


def _bytes_of(dtype: str, shape: Iterable[int]) -> int:
    return int(np.dtype(dtype).itemsize * np.prod(tuple(shape), dtype=np.int64))


def _array(content: npt.NDArray[np.uint8], dtype: str, shape: list[int], offset: int) -> npt.NDArray[Any]:
    return content[offset : offset + _bytes_of(dtype, shape)].view(dtype).reshape(shape)
