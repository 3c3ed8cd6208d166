"""``Vector6D`` records as columns: one array a field, encoded and decoded by blocks that fit a cache."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DamagedDataError, InputError
from ninefold.spec.vector6d import FIELDS, FIXED_BYTES, LENGTH_BYTES, LINK_BYTES, LINK_FIELDS, LINKS

__all__ = ["Vector6DColumns", "decode", "encode"]

_Array = npt.NDArray[Any]
_Bytes = npt.NDArray[np.uint8]
#: Bytes of a record without links, its length included.
_HEAD: Final = LENGTH_BYTES + FIXED_BYTES
#: Records that are converted together.
_BLOCK: Final = 256
_LENGTH: Final = struct.Struct("<I")
#: Type of a record with all its links. A shorter one ends before the last links.
_LINK: Final = np.dtype([(f.name, f"<{f.format}") for f in LINK_FIELDS])
_RECORD: Final = np.dtype(
    [("length", "<u4"), *((f.name, f"<{f.format}", (f.count,)) for f in FIELDS), ("link", _LINK, (LINKS,))]
)
_LENGTHS: Final = frozenset(FIXED_BYTES + LINK_BYTES * links for links in range(LINKS + 1))


@dataclass(frozen=True, eq=False)
class Vector6DColumns:
    """N records, one array a field.

    Attributes
    ----------
    arrays : mapping of str to array
        By the names of `ninefold.spec.vector6d.FIELDS` and `LINK_FIELDS`. ``embedding`` is float16 of shape (N, 512),
        ``intent`` float16 (N, 256), and the other fields have shape (N,): ``timestamp`` uint64, ``subtype`` uint16,
        ``modality``, ``impact`` and ``links`` uint8, and the rest float16. Of a record's links, the fields
        ``link_strength`` uint8, ``link_lag`` uint16 and ``link_hash`` uint8, of shape (N, 8), hold the first ``links``
        numbers, and zeros after them.

    Raises
    ------
    InputError
        An array is missing, unknown, or has another dtype or shape, or a record has more than 8 links, or a number
        after its links that is not 0.
    """

    arrays: Mapping[str, _Array]

    def __post_init__(self) -> None:
        declared = _declared(self.arrays)
        if self.arrays.keys() != declared.keys():
            odd = sorted(self.arrays.keys() ^ declared.keys())
            state = "unknown" if odd[0] in self.arrays else "missing"
            raise InputError(f"columns must be {', '.join(declared)}: {odd[0]!r} is {state}")
        for name, (dtype, shape) in declared.items():
            array = self.arrays[name]
            if array.dtype != dtype or array.shape != shape:
                raise InputError(f"{name} must be {dtype} of shape {shape}, not {array.dtype} of shape {array.shape}")
        links = self.arrays["links"]
        if (wrong := np.flatnonzero(links > LINKS)).size:
            raise InputError(f"links must be at most {LINKS}: row {wrong[0]} has {links[wrong[0]]}")
        unused = np.arange(LINKS) >= links[:, np.newaxis]
        for field in LINK_FIELDS:
            if (places := np.argwhere((self.arrays[field.name] != 0) & unused)).size:
                row, place = places[0]
                raise InputError(
                    f"{field.name} must be 0 after the {links[row]} links of row {row}: place {place} is not"
                )

    @classmethod
    def zeros(cls, rows: int) -> Self:
        """Return columns of zeros, which may be filled."""
        return cls(_zeros(rows))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.arrays["links"])

    def __getitem__(self, rows: slice | npt.NDArray[np.integer[Any]] | npt.NDArray[np.bool_]) -> Self:
        """Return the records of a slice (without a copy), of row numbers or of a mask."""
        return type(self)({name: array[rows] for name, array in self.arrays.items()})


def decode(data: Any) -> Vector6DColumns:
    """Return the records in a buffer; `encode` of the result gives the same bytes.

    Parameters
    ----------
    data : bytes-like
        Records one after another: bytes, a memory map, or a uint8 array. An empty buffer has no records.

    Raises
    ------
    DamagedDataError
        A record is cut off, or its length or its number of links is wrong; the message names the first such record and
        the position of the wrong byte.
    """
    source = np.frombuffer(data, np.uint8)
    offsets, problem = _offsets(source)
    declared = _declared({"links": np.empty(len(offsets), np.uint8)})
    # Only large arrays that are not zeroed get large pages; all fields are written, except links that a record lacks.
    zeroed = {field.name for field in LINK_FIELDS}
    found = {name: (np.zeros if name in zeroed else np.empty)(shape, kind) for name, (kind, shape) in declared.items()}
    for first in range(0, len(offsets), _BLOCK):
        places = offsets[first : first + _BLOCK]
        rows = slice(first, first + len(places))
        records = _gathered(source, places)
        for field in FIELDS:
            found[field.name][rows] = records[field.name] if field.count > 1 else records[field.name][:, 0]
        room = (records["length"] - FIXED_BYTES) // LINK_BYTES
        if (wrong := np.flatnonzero(found["links"][rows] != room)).size:
            at = int(wrong[0])
            place, count = int(places[at]) + _HEAD - 1, found["links"][first + at]
            raise DamagedDataError(
                f"record {first + at} is damaged at byte {place:,}: it says {count} links, and has room for {room[at]}"
            )
        there = np.arange(LINKS) < room[:, np.newaxis]
        for field in LINK_FIELDS:
            np.copyto(found[field.name][rows], records["link"][field.name], where=there)
    if problem:
        raise DamagedDataError(problem)
    return Vector6DColumns(found)


def encode(records: Vector6DColumns) -> _Bytes:
    """Return records as bytes, uint8 of shape (B,), one after another.

    Examples
    --------
    >>> encode(Vector6DColumns.zeros(2)).size
    3130
    """
    arrays = records.arrays
    links = arrays["links"]
    offsets = np.zeros(len(records) + 1, np.int64)
    np.cumsum(_HEAD + LINK_BYTES * links.astype(np.int64), out=offsets[1:])
    # Each record is written with all 8 links, in ascending order, and the next one is written over those that it lacks.
    target = np.empty(int(offsets[-1]) + LINKS * LINK_BYTES, np.uint8)
    block = np.empty(_BLOCK, _RECORD)
    for first in range(0, len(records), _BLOCK):
        rows = slice(first, min(first + _BLOCK, len(records)))
        some = block[: rows.stop - first]
        some["length"] = FIXED_BYTES + LINK_BYTES * links[rows].astype(np.uint32)
        for field in FIELDS:
            some[field.name] = arrays[field.name][rows].reshape(-1, field.count)
        for field in LINK_FIELDS:
            some["link"][field.name] = arrays[field.name][rows]
        _windows(target)[offsets[rows]] = some.view(np.uint8).reshape(-1, _RECORD.itemsize)
    return target[: offsets[-1]]


def _offsets(source: _Bytes) -> tuple[npt.NDArray[np.int64], str]:
    """Return the positions of the records before the first one of a wrong length, and the error for that one."""
    size, data = len(source), source.data
    if size >= LENGTH_BYTES:
        whole = LENGTH_BYTES + _LENGTH.unpack_from(data)[0]
        if whole - LENGTH_BYTES in _LENGTHS and size % whole == 0:
            # Where all records have one length, no walk from one to the next is needed.
            lengths = source.reshape(-1, whole)[:, :LENGTH_BYTES]
            if (lengths == lengths[0]).all():
                return np.arange(0, size, whole), ""
    places, place, read = array("q"), 0, _LENGTH.unpack_from
    while place <= size - LENGTH_BYTES:
        (length,) = read(data, place)
        end = place + LENGTH_BYTES + length
        if length not in _LENGTHS or end > size:
            break
        places.append(place)
        place = end
    return np.array(places, np.int64), "" if place == size else _problem(source, len(places), place)


def _problem(source: _Bytes, number: int, place: int) -> str:
    """Return what is wrong with the length of a record."""
    named, there = f"record {number} at byte {place:,}", len(source) - place
    if there < LENGTH_BYTES:
        return f"{named} is cut off: {there} of the {LENGTH_BYTES} bytes of its length are there"
    (length,) = _LENGTH.unpack_from(source.data, place)
    if length not in _LENGTHS:
        return (
            f"{named} is damaged: its payload must have {min(_LENGTHS):,} to {max(_LENGTHS):,} bytes in steps of "
            f"{LINK_BYTES}, not {length:,}"
        )
    return f"{named} is cut off: {there - LENGTH_BYTES:,} of the {length:,} bytes of its payload are there"


def _windows(data: _Bytes) -> _Bytes:
    """Return a view whose row i is the bytes from i on that a record with all links takes."""
    return np.lib.stride_tricks.sliding_window_view(data, _RECORD.itemsize, writeable=data.flags.writeable)


def _gathered(source: _Bytes, places: npt.NDArray[np.int64]) -> _Array:
    """Return the records at these positions; bytes after a record are in the place of links that it lacks."""
    first, last = int(places[0]), int(places[-1])
    part = source[first : last + _RECORD.itemsize]
    if (lacking := last + _RECORD.itemsize - len(source)) > 0:
        part = np.concatenate([part, np.zeros(lacking, np.uint8)])
    found: _Array = _windows(part)[places - first].view(_RECORD)[:, 0]
    return found


def _declared(arrays: Mapping[str, _Array]) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Return dtype and shape of each column."""
    rows = len(arrays["links"]) if "links" in arrays and arrays["links"].ndim else 0
    declared = {f.name: (f, (rows, f.count) if f.count > 1 else (rows,)) for f in FIELDS}
    declared |= {f.name: (f, (rows, LINKS)) for f in LINK_FIELDS}
    return {name: (np.dtype(f"{field.format}"), shape) for name, (field, shape) in declared.items()}


def _zeros(rows: int) -> dict[str, _Array]:
    declared = _declared({"links": np.empty(rows, np.uint8)})
    return {name: np.zeros(shape, dtype) for name, (dtype, shape) in declared.items()}
