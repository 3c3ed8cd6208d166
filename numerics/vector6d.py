"""``Vector6D`` records as columns: one array a field, encoded and decoded by blocks that fit a cache."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, groupby
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
_LENGTHS: Final = tuple(FIXED_BYTES + LINK_BYTES * links for links in range(LINKS + 1))
#: Bytes to the next record by the lowest byte of a valid length; 0 for other bytes.
_STEPS: Final = tuple(next((LENGTH_BYTES + n for n in _LENGTHS if n & 0xFF == low), 0) for low in range(256))
_LINK: Final = np.dtype([(f.name, f"<{f.format}") for f in LINK_FIELDS])


@dataclass(frozen=True)
class _Part:
    """Consecutive bytes of a record that are copied together: one long field, or short ones.

    Attributes
    ----------
    at : int
        Place of the first byte in the record.
    type : numpy.dtype
        Type of the bytes.
    """

    at: int
    type: np.dtype[Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields."""
        return self.type.names or ()

    def windows(self, data: _Bytes) -> _Array:
        """Return a view of bytes whose element i is the part of a record that begins at byte i."""
        count = max(0, len(data) - self.at - self.type.itemsize + 1)
        return np.ndarray(count, f"V{self.type.itemsize}", data, self.at, (1,))


def _parts() -> list[_Part]:
    """Return the parts of a record with all its links. A shorter one ends before the last links."""
    long = {field.name for field in FIELDS if field.count > 1}
    fields = [
        ("length", "<u4"),
        *((f.name, f"<{f.format}", (f.count,)) if f.name in long else (f.name, f"<{f.format}") for f in FIELDS),
        ("link", _LINK, (LINKS,)),
    ]
    types = [np.dtype(list(some)) for _, some in groupby(fields, lambda field: field[0] if field[0] in long else "")]
    starts = accumulate((kind.itemsize for kind in types), initial=0)
    return [_Part(at, kind) for at, kind in zip(starts, types, strict=False)]


#: The first part is the length, and the last one holds the links.
_PARTS: Final = _parts()
_WHOLE: Final = _HEAD + LINKS * LINK_BYTES


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
    bounds, problem = _bounds(source)
    rooms = (np.diff(bounds) - _HEAD) // LINK_BYTES
    declared = _declared({"links": rooms})
    # Only large arrays that are not zeroed get large pages; all fields are written, except links that a record lacks.
    zeroed = {field.name for field in LINK_FIELDS}
    found = {name: (np.zeros if name in zeroed else np.empty)(shape, kind) for name, (kind, shape) in declared.items()}
    for first in range(0, len(rooms), _BLOCK):
        rows = slice(first, min(first + _BLOCK, len(rooms)))
        padded, begins = _padded(source, bounds[rows])
        for part in _PARTS[1:]:
            records = part.windows(padded)[begins].view(part.type)
            for name in found.keys() & part.names:
                found[name][rows] = records[name]
        if (wrong := np.flatnonzero(found["links"][rows] != rooms[rows])).size:
            at = first + int(wrong[0])
            raise DamagedDataError(
                f"record {at} is damaged at byte {bounds[at] + _HEAD - 1:,}: it says {found['links'][at]} links, and "
                f"has room for {rooms[at]}"
            )
        there = np.arange(LINKS) < rooms[rows, np.newaxis]
        for field in LINK_FIELDS:
            np.copyto(found[field.name][rows], records["link"][field.name], where=there)  # of the last part
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
    target = np.empty(int(offsets[-1]) + LINKS * LINK_BYTES, np.uint8)
    for first in range(0, len(records), _BLOCK):
        rows = slice(first, min(first + _BLOCK, len(records)))
        # The last part is written with all 8 links; the beginning of the next record replaces those that one lacks.
        for part in reversed(_PARTS):
            some = np.empty(rows.stop - first, part.type)
            for name in part.names:
                if name == "length":
                    some[name] = FIXED_BYTES + LINK_BYTES * links[rows].astype(np.uint32)
                elif name == "link":
                    for field in LINK_FIELDS:
                        some[name][field.name] = arrays[field.name][rows]
                else:
                    some[name] = arrays[name][rows]
            part.windows(target)[offsets[rows]] = some.view(f"V{part.type.itemsize}")
    return target[: offsets[-1]]


def _bounds(source: _Bytes) -> tuple[npt.NDArray[np.int64], str]:
    """Return where records begin and where the last one ends, and the error for the first one of a wrong length."""
    size, data, places, place = len(source), source.data, array("q", [0]), 0
    steps, append, last = _STEPS, places.append, size - LENGTH_BYTES
    while place <= last and (step := steps[data[place]]):
        place += step
        append(place)
    bounds = np.array(places, np.int64)
    if place > size:
        bounds = bounds[:-1]  # the last record is cut off
    # The walk went by the lowest byte of each length, so that longer numbers end it here.
    lengths = _PARTS[0].windows(source)[bounds[:-1]].view("<u4")
    if (wrong := np.flatnonzero(lengths + LENGTH_BYTES != np.diff(bounds))).size:
        bounds = bounds[: wrong[0] + 1]
    place = int(bounds[-1])
    return bounds, "" if place == size else _problem(source, len(bounds) - 1, place)


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


def _padded(source: _Bytes, places: npt.NDArray[np.int64]) -> tuple[_Bytes, npt.NDArray[np.int64]]:
    """Return bytes with the records at ascending positions, each as long as one with all links, and their places."""
    first, last = int(places[0]), int(places[-1])
    part = source[first : last + _WHOLE]
    if (lacking := last + _WHOLE - len(source)) > 0:
        part = np.concatenate([part, np.zeros(lacking, np.uint8)])
    return part, places - first


def _declared(arrays: Mapping[str, _Array]) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Return dtype and shape of each column."""
    rows = len(arrays["links"]) if "links" in arrays and arrays["links"].ndim else 0
    declared = {f.name: (f, (rows, f.count) if f.count > 1 else (rows,)) for f in FIELDS}
    declared |= {f.name: (f, (rows, LINKS)) for f in LINK_FIELDS}
    return {name: (np.dtype(f"{field.format}"), shape) for name, (field, shape) in declared.items()}


def _zeros(rows: int) -> dict[str, _Array]:
    declared = _declared({"links": np.empty(rows, np.uint8)})
    return {name: np.zeros(shape, dtype) for name, (dtype, shape) in declared.items()}
