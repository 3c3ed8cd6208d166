"""Declared fields of entries: a name and one type, which every entry that has the field must have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from ninefold.spec.errors import InputError

__all__ = ["TYPES", "DeclaredField", "FieldType"]

FieldType = Literal["int", "float", "str", "bool"]
TYPES: Final[tuple[FieldType, ...]] = ("int", "float", "str", "bool")
_WORDS: Final = {"true": True, "false": False}
#: Integers of a column, int64.
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_SHOWN: Final = 40


@dataclass(frozen=True)
class DeclaredField:
    """Field that an index keeps in a column of its own, so that a filter reads no other data.

    Attributes
    ----------
    name : str
        Name of the JSON field or CSV column.
    type : {'int', 'float', 'str', 'bool'}
        ``int`` is 64 bits wide, ``float`` is float64 and finite.
    """

    name: str
    type: FieldType

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the field that ``NAME:TYPE`` declares; the last colon ends the name."""
        name, _, kind = text.rpartition(":")
        for known in TYPES:
            if name.strip() and kind == known:
                return cls(name, known)
        raise InputError(f"a field must be declared as NAME:TYPE, TYPE one of {', '.join(TYPES)}, not {text!r}")

    def value(self, given: Any) -> int | float | str | bool | None:
        """Return a value of this field in its type; None if it is missing, which null and an empty cell mean.

        A string that spells a number, ``true`` or ``false`` is converted, since CSV has only strings. An integer
        becomes a float where that is exact, a float an integer where it is one.

        Raises
        ------
        InputError
            If the value has another type; the message quotes it.
        """
        if given is None or (given == "" and self.type != "str"):
            return None
        found = _CONVERTED[self.type](given)
        if found is None:
            shown = repr(given) if len(repr(given)) <= _SHOWN else f"{repr(given)[:_SHOWN]}..."
            raise InputError(f"its field {self.name!r} must be {_MEANT[self.type]}, not {shown}")
        return found


def _number(given: Any) -> int | float | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    if not isinstance(given, str):
        return given
    for kind in (int, float):
        try:
            # Python's own underscores and digits of other scripts are not numbers of a file.
            return kind(given) if given.isascii() and "_" not in given else None
        except ValueError:
            continue
    return None


def _integer(given: Any) -> int | None:
    number = _number(given)
    if number is None or not math.isfinite(number) or number != int(number) or not _LEAST <= number <= _MOST:
        return None
    return int(number)


def _float(given: Any) -> float | None:
    number = _number(given)
    try:
        found = math.nan if number is None else float(number)
    except OverflowError:
        return None
    exact = isinstance(given, str) or found == number
    return found if exact and math.isfinite(found) else None


def _boolean(given: Any) -> bool | None:
    return _WORDS.get(given.strip().lower()) if isinstance(given, str) else given if isinstance(given, bool) else None


def _string(given: Any) -> str | None:
    return given if isinstance(given, str) else None


_CONVERTED: Final = {"int": _integer, "float": _float, "str": _string, "bool": _boolean}
_MEANT: Final = {
    "int": "an integer of 64 bits",
    "float": "a finite number that float64 holds",
    "str": "a string",
    "bool": "true or false",
}
