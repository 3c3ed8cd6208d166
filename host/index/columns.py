"""Columns of declared fields: typed arrays that a filter compares at once, and that a segment maps from its files."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from ninefold.host.sources import DeclaredField
from ninefold.spec.errors import DamagedDataError, InputError

__all__ = ["Comparator", "FieldColumn", "Scalar"]

Comparator = Literal["==", "!=", "<", "<=", ">", ">="]
Scalar = int | float | str | bool
Bools = npt.NDArray[np.bool_]

#: Numbers of a column. Of strings they are positions among the sorted distinct ones.
_DTYPES: Final[Mapping[str, npt.DTypeLike]] = {
    "int": np.int64,
    "float": np.float64,
    "str": np.int32,
    "bool": np.bool_,
}
_INT64: Final = np.iinfo(np.int64)


@dataclass(frozen=True)
class _Place:
    """Place of a value among the numbers of a column, exact where the column's type cannot hold the value.

    Attributes
    ----------
    cut : int or float
        Numbers below it are smaller than the value.
    inclusive : bool
        True if `cut` itself is smaller too.
    equal : int, float, bool or None
        Number that equals the value; None if there is none.
    """

    cut: float
    inclusive: bool
    equal: float | None


@dataclass(frozen=True, eq=False)
class FieldColumn:
    """Values of one declared field for N rows.

    Attributes
    ----------
    field : DeclaredField
    present : uint8 array of shape (ceil(N / 8),)
        Bit r mod 8, lowest first, of byte r // 8 is 1 if row r has the field. Padding is 0.
    values : array of shape (N,)
        int64, float64 or bool; of strings int32, the position among the distinct ones. 0 if the row lacks the field.
    words : uint8 array of shape (B,)
        UTF-8 of the distinct strings in ascending order, without separators. Empty for other types.
    starts : int64 array of shape (U + 1,)
        Start of each distinct string in `words`, and the end of the last one.
    """

    field: DeclaredField
    present: npt.NDArray[np.uint8]
    values: npt.NDArray[Any]
    words: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, field: DeclaredField, values: Sequence[Scalar | None]) -> Self:
        """Return the column of values in the field's type, None for each row that lacks it.

        Raises
        ------
        InputError
            If a value has another type than `DeclaredField.value` returns.
        """
        for value in values:
            if value is not None and type(field.value(value)) is not type(value):
                raise InputError(f"a value of the column {field.name!r} must be {field.type}, not {value!r}")
        present = np.packbits(np.array([value is not None for value in values], np.bool_), bitorder="little")
        numbers: list[Any] = [0 if value is None else value for value in values]
        distinct: list[str] = []
        if field.type == "str":
            # The order of code points, in which Python compares strings, is the order of their UTF-8.
            distinct = sorted({value for value in values if isinstance(value, str)})
            position = {word: at for at, word in enumerate(distinct)}
            numbers = [0 if value is None else position[str(value)] for value in values]
        words = _joined_words([word.encode() for word in distinct])
        return cls(field, present, np.array(numbers, _DTYPES[field.type]), *words)

    @classmethod
    def joined(cls, columns: Sequence[FieldColumn], rows: Sequence[npt.NDArray[np.int64]]) -> Self:
        """Return the column of some rows of each of several columns of one field, one after another."""
        there = [column.exists()[some] for column, some in zip(columns, rows, strict=True)]
        values = [np.asarray(column.values[some]) for column, some in zip(columns, rows, strict=True)]
        present, field = np.packbits(np.concatenate(there), bitorder="little"), columns[0].field
        if field.type != "str":
            return cls(field, present, np.concatenate(values), *_joined_words([]))
        used = [np.unique(numbers[has]) for numbers, has in zip(values, there, strict=True)]
        words = [[column._word(at) for at in some.tolist()] for column, some in zip(columns, used, strict=True)]
        distinct = sorted({word for some in words for word in some})
        position = {word: at for at, word in enumerate(distinct)}
        renumbered = []
        for column, numbers, has, some, own in zip(columns, values, there, used, words, strict=True):
            moved = np.zeros(max(1, len(column.starts) - 1), np.int32)
            moved[some] = [position[word] for word in own]
            renumbered.append(np.where(has, moved[numbers], np.int32(0)))
        return cls(field, present, np.concatenate(renumbered), *_joined_words(distinct))

    @classmethod
    def of_arrays(cls, field: DeclaredField, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the column that `arrays` were taken from; they may be memory-mapped, and are not copied.

        Raises
        ------
        DamagedDataError
            If one is missing, or has another dtype or shape.
        """
        missing = [name for name in ("present", "values", "words", "starts") if name not in arrays]
        if missing:
            raise DamagedDataError(f"the column {field.name!r} has no array {missing[0]}")
        found = cls(field, *(arrays[name] for name in ("present", "values", "words", "starts")))
        rows, ends = len(found.values), len(found.starts)
        wanted: dict[str, tuple[npt.DTypeLike, tuple[int, ...]]] = {
            "present": (np.uint8, ((rows + 7) // 8,)),
            "values": (_DTYPES[field.type], (rows,)),
            "starts": (np.int64, (max(ends, 1),)),
            "words": (np.uint8, (int(found.starts[-1]) if ends else 0,)),
        }
        for name, (dtype, shape) in wanted.items():
            array = arrays[name]
            if array.dtype != dtype or array.shape != shape:
                raise DamagedDataError(
                    f"the column {field.name!r} is damaged: {name} must be {np.dtype(dtype)} of shape {shape}, "
                    f"not {array.dtype} of shape {array.shape}"
                )
        return found

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays by name, which `of_arrays` takes; each can be written as a file of its own."""
        return {"present": self.present, "values": self.values, "words": self.words, "starts": self.starts}

    def at(self, rows: npt.NDArray[np.integer[Any]]) -> list[Scalar | None]:
        """Return the values of rows, None for each row that lacks the field; `of` takes them."""
        there = self.exists()[rows]
        if self.field.type != "str":
            return [value if has else None for value, has in zip(self.values[rows].tolist(), there, strict=True)]
        return [
            self._word(at).decode() if has else None for at, has in zip(self.values[rows].tolist(), there, strict=True)
        ]

    def exists(self) -> Bools:
        """Return the rows that have the field, bool (N,)."""
        return np.unpackbits(self.present, count=len(self), bitorder="little").view(np.bool_)

    def compare(self, comparator: Comparator, value: Scalar) -> Bools:
        """Return the rows whose value compares so to `value`, bool (N,), exactly as Python compares the two.

        A row without the field, and a value of another kind (number, string, boolean), are not among them.
        """
        place = self._place(value)
        if place is None:
            return np.zeros(len(self), np.bool_)
        found = self._ordered(comparator, place)
        found &= self.exists()
        return found

    def among(self, values: Sequence[Scalar]) -> Bools:
        """Return the rows whose value is one of `values`, bool (N,)."""
        places = [place.equal for value in values if (place := self._place(value)) is not None]
        equal = np.array([number for number in places if number is not None], self.values.dtype)
        return np.isin(self.values, equal) & self.exists()

    def _ordered(self, comparator: Comparator, place: _Place) -> Bools:
        none = np.zeros(len(self), np.bool_)
        equal: Bools = none if place.equal is None else self.values == place.equal
        if comparator in ("==", "!="):
            return equal if comparator == "==" else ~equal
        less: Bools = self.values <= place.cut if place.inclusive else self.values < place.cut
        if comparator in ("<=", ">"):
            less |= equal
        return less if comparator in ("<", "<=") else ~less

    def _place(self, value: Scalar) -> _Place | None:
        """Return the place of a value among the column's numbers; None for a value of another kind."""
        if isinstance(value, bool) or self.field.type == "bool":
            return _Place(value, False, value) if isinstance(value, bool) and self.field.type == "bool" else None
        if isinstance(value, str) or self.field.type == "str":
            return self._of_word(value) if isinstance(value, str) and self.field.type == "str" else None
        return _among_integers(value) if self.field.type == "int" else _among_floats(value)

    def _of_word(self, value: str) -> _Place:
        word, distinct = value.encode(), range(len(self.starts) - 1)
        at = bisect.bisect_left(distinct, word, key=self._word)
        return _Place(at, False, at if at in distinct and self._word(at) == word else None)

    def _word(self, at: int) -> bytes:
        return self.words[self.starts[at] : self.starts[at + 1]].tobytes()


def _joined_words(words: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return words in ascending order as one array, and their starts."""
    return np.frombuffer(b"".join(words), np.uint8), np.cumsum([0, *map(len, words)], dtype=np.int64)


def _among_integers(value: float) -> _Place:
    # An integer is below a number if it is below the next integer.
    ceiling = math.ceil(value)
    if ceiling > _INT64.max:
        return _Place(int(_INT64.max), True, None)
    if ceiling < _INT64.min:
        return _Place(int(_INT64.min), False, None)
    return _Place(ceiling, False, ceiling if ceiling == value else None)


def _among_floats(value: float) -> _Place:
    try:
        nearest = float(value)
    except OverflowError:  # an integer beyond the largest float
        nearest = math.inf if value > 0 else -math.inf
    # Python compares an integer with a float exactly, NumPy after rounding; there is no float between the two.
    return _Place(nearest, nearest < value, nearest if nearest == value else None)
