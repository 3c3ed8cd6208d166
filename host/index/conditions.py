"""Conditions of which a filter consists; each holds or not for the fields of an entry, or for all rows of columns."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np
import numpy.typing as npt

from .columns import Comparator, FieldColumn, Scalar

__all__ = ["Comparison", "Condition", "Existence", "Leaf", "Membership", "Negation", "Several", "kind_of", "leaves"]

Bools = npt.NDArray[np.bool_]

_COMPARE: Final[Mapping[Comparator, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(Protocol):
    """Part of a filter."""

    @property
    def depth(self) -> int:
        """Number of levels, 1 for a comparison."""

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for the fields of an entry."""

    def mask(self, columns: Mapping[str, FieldColumn]) -> Bools:
        """Return the rows for which the condition holds, a new array."""


@dataclass(frozen=True)
class Comparison:
    """Comparison of one field with a value, which is of one kind."""

    name: str
    comparator: Comparator
    value: Scalar
    depth: ClassVar[int] = 1

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the field has the value's kind and compares so."""
        given = fields.get(self.name)
        return kind_of(given) == kind_of(self.value) and _COMPARE[self.comparator](given, self.value)

    def mask(self, columns: Mapping[str, FieldColumn]) -> Bools:
        """Return the rows for which the condition holds, bool (N,)."""
        return columns[self.name].compare(self.comparator, self.value)


@dataclass(frozen=True)
class Membership:
    """Membership of a field, or of an element of its list, in a set of values."""

    name: str
    values: tuple[Scalar, ...]
    keys: frozenset[tuple[str, Scalar]]  # with kinds, since 1 == True
    depth: ClassVar[int] = 1

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the field, or an element of its list, is one of the values."""
        given = fields.get(self.name)
        return any((kind := kind_of(one)) and (kind, one) in self.keys for one in _elements(given))

    def mask(self, columns: Mapping[str, FieldColumn]) -> Bools:
        """Return the rows for which the condition holds, bool (N,)."""
        return columns[self.name].among(self.values)


@dataclass(frozen=True)
class Existence:
    """Presence of a field that is not null."""

    name: str
    depth: ClassVar[int] = 1

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the entry has the field."""
        return fields.get(self.name) is not None

    def mask(self, columns: Mapping[str, FieldColumn]) -> Bools:
        """Return the rows for which the condition holds, bool (N,)."""
        return columns[self.name].exists()


Leaf = Comparison | Membership | Existence


@dataclass(frozen=True)
class Negation:
    """Condition that must not hold."""

    inner: Condition
    depth: int

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the condition inside does not hold."""
        return not self.inner.matches(fields)

    def mask(self, columns: Mapping[str, FieldColumn]) -> Bools:
        """Return the rows for which the condition holds, bool (N,)."""
        return ~self.inner.mask(columns)


@dataclass(frozen=True)
class Several:
    """Conditions of which all must hold, or any."""

    parts: tuple[Condition, ...]
    every: bool
    depth: int

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether all conditions hold, or any."""
        return (all if self.every else any)(part.matches(fields) for part in self.parts)

    def mask(self, columns: Mapping[str, FieldColumn]) -> Bools:
        """Return the rows for which the condition holds, bool (N,)."""
        found = self.parts[0].mask(columns)
        for part in self.parts[1:]:
            if self.every:
                found &= part.mask(columns)
            else:
                found |= part.mask(columns)
        return found


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Yield the comparisons of a condition in their order; its depth is limited."""
    match condition:
        case Negation(inner):
            yield from leaves(inner)
        case Several(parts):
            for part in parts:
                yield from leaves(part)
        case Comparison() | Membership() | Existence():
            yield condition


def kind_of(value: Any) -> str:
    """Return the kind of a value; empty for null, a list and an object, which compare with nothing."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else ""


def _elements(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else (value,)
