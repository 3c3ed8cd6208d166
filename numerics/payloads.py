"""Payloads of streams as arrays: columns of integers, and their packing into beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError

__all__ = ["Column", "check_columns", "pack", "unpack"]

#: Payloads converted at once; their bits fit the cache of a processor.
_ROWS: Final = 8192
_WIDEST: Final = 64


@dataclass(frozen=True)
class Column:
    """Field of a payload: one integer, or an array of equal integers.

    Attributes
    ----------
    name : str
        Name.
    bits : int
        Width of an integer, 1 to 64.
    signed : bool
        True for two's complement.
    shape : tuple of int
        Shape of the array; empty for one integer.
    offset : int
        Position of the least significant bit in the payload.
    """

    name: str
    bits: int
    signed: bool
    shape: tuple[int, ...]
    offset: int

    @property
    def count(self) -> int:
        """Number of integers."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest integer type that holds the values."""
        size = next(size for size in (1, 2, 4, 8) if self.bits <= 8 * size)
        return np.dtype(f"{'i' if self.signed else 'u'}{size}")

    @property
    def low(self) -> int:
        """Smallest value."""
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest value."""
        return (1 << self.bits - self.signed) - 1

    def __str__(self) -> str:
        """Return name, dtype and shape, as ``x: int8 (n, 8)``."""
        shape = ", ".join(["n", *map(str, self.shape)])
        width = "" if self.bits == 8 * self.dtype.itemsize else f" of {self.bits} bits"
        return f"{self.name}: {self.dtype}{width} ({shape}{',' if not self.shape else ''})"


def check_columns(what: str, columns: Sequence[Column], given: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    r"""Return arrays as the columns' types, after a check of names, shapes, types and ranges.

    Parameters
    ----------
    what : str
        Origin of the arrays, for messages.
    columns : sequence of Column
        The columns.
    given : mapping of str to array
        For each column, integers of shape (n, \*column.shape), with one n for all.

    Raises
    ------
    InputError
        A column is missing or unknown, or an array has another shape, no integers, or a value out of range.
    """
    names = [column.name for column in columns]
    if set(given) != set(names):
        raise InputError(f"{what} must have {', '.join(names)}, not {', '.join(given) or 'nothing'}")
    found: dict[str, npt.NDArray[Any]] = {}
    for column in columns:
        array = np.asarray(given[column.name])
        if array.dtype == np.bool_:
            array = array.astype(np.uint8)
        if array.dtype.kind not in "iu" and array.size:
            raise InputError(f"{column.name} of {what} must be integers ({column}), not {array.dtype}")
        count = len(next(iter(found.values()))) if found else len(array) if array.ndim else 0
        if array.shape != (count, *column.shape):
            raise InputError(
                f"{column.name} of {what} must have shape {(count, *column.shape)} ({column}), not {array.shape}"
            )
        if array.size and not column.low <= int(array.min()) <= int(array.max()) <= column.high:
            worst = int(array.min()) if int(array.min()) < column.low else int(array.max())
            raise InputError(f"{column.name} of {what} must be from {column.low} to {column.high}, not {worst}")
        found[column.name] = array.astype(column.dtype)
    return found


def pack(columns: Sequence[Column], arrays: Mapping[str, npt.NDArray[Any]], size: int) -> npt.NDArray[np.uint8]:
    """Return payloads as bytes, the least significant bit first, padded with zeros.

    Parameters
    ----------
    columns : sequence of Column
        The columns.
    arrays : mapping of str to array
        Checked arrays (`check_columns`) of n payloads.
    size : int
        Bytes of a payload.

    Returns
    -------
    array
        uint8 of shape (n, size).
    """
    count = len(next(iter(arrays.values())))
    out = np.zeros((count, size), np.uint8)
    if all(_whole(column) for column in columns):
        for column in columns:
            start, width = column.offset // 8, column.bits // 8
            raw = _bytes(column, arrays[column.name])[:, :, :width]
            out[:, start : start + column.count * width] = raw.reshape(count, column.count * width)
        return out
    for begin in range(0, count, _ROWS):
        rows = min(_ROWS, count - begin)
        bits = np.zeros((rows, 8 * size), np.uint8)
        for column in columns:
            raw = _bytes(column, arrays[column.name][begin : begin + rows])
            one = np.unpackbits(raw, axis=2, bitorder="little", count=column.bits)
            bits[:, column.offset : column.offset + column.count * column.bits] = one.reshape(
                rows, column.count * column.bits
            )
        out[begin : begin + rows] = np.packbits(bits, axis=1, bitorder="little")
    return out


def unpack(columns: Sequence[Column], beats: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of payloads, uint8 of shape (n, size): the inverse of `pack`."""
    return {column.name: _column(column, beats) for column in columns}


def _column(column: Column, beats: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    count, width = len(beats), column.dtype.itemsize
    if _whole(column):
        start, size = column.offset // 8, column.bits // 8
        raw = beats[:, start : start + column.count * size].reshape(count, column.count, size)
        values = np.zeros((count, column.count, width), np.uint8)
        values[:, :, :size] = raw
    else:
        values = np.zeros((count, column.count, width), np.uint8)
        first, last = column.offset // 8, -(-(column.offset + column.count * column.bits) // 8)
        skip = column.offset % 8
        for begin in range(0, count, _ROWS):
            bits = np.unpackbits(beats[begin : begin + _ROWS, first:last], axis=1, bitorder="little")
            own = bits[:, skip : skip + column.count * column.bits].reshape(len(bits), column.count, column.bits)
            packed = np.packbits(own, axis=2, bitorder="little")
            values[begin : begin + _ROWS, :, : packed.shape[2]] = packed
    found = values.reshape(count, column.count * width).view(column.dtype.newbyteorder("<")).astype(column.dtype)
    if column.signed and (unused := 8 * width - column.bits):
        found = (found << unused) >> unused
    return found.reshape(count, *column.shape)


def _whole(column: Column) -> bool:
    return column.offset % 8 == 0 and column.bits % 8 == 0


def _bytes(column: Column, array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the bytes of each integer, uint8 of shape (n, count, dtype size)."""
    little = np.ascontiguousarray(array.astype(column.dtype.newbyteorder("<")))
    return little.view(np.uint8).reshape(len(array), column.count, column.dtype.itemsize)
