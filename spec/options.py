"""Options: keywords of operators and attributes of residents, with their types and ranges."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from .errors import InputError

__all__ = ["Option", "integer"]

_NOUNS = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    str: ("a string", "strings"),
    bool: ("true or false", "truth values"),
}


def integer(name: str, value: Any) -> int:
    """Return an integer of any type as int, or raise `InputError` that names the argument and its value."""
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name} must be an integer, not {value!r}") from None


@dataclass(frozen=True)
class Option:
    """Keyword option of an operator, or attribute of a resident.

    Attributes
    ----------
    name : str
        Name of the keyword.
    type : type
        int, float, str or bool; of each value, for a tuple.
    default : object
        Default value; `Option.REQUIRED` if there is none.
    low, high : number or None
        Inclusive range.
    positive : bool
        True if the value must be finite and greater than 0.
    choices : tuple of str
        Allowed values of a string.
    many : tuple of (int, int) or None
        Smallest and largest length, for an option whose value is a tuple.
    doc : str
        One line for the generated documentation.
    """

    REQUIRED = object()

    name: str
    type: type
    default: Any = None
    low: float | None = None
    high: float | None = None
    positive: bool = False
    choices: tuple[str, ...] = ()
    many: tuple[int, int] | None = None
    doc: str = ""

    def check(self, value: Any) -> Any:
        """Return `value` converted to the option's type, or raise `InputError` naming it and the allowed values."""
        if value is None and self.default is None:
            return None
        if self.many is None:
            return self._one(value, value)
        if isinstance(value, str | bytes):
            raise self._refused(value)
        try:
            given = tuple(value)
        except TypeError:
            raise self._refused(value) from None
        if not self.many[0] <= len(given) <= self.many[1]:
            raise self._refused(value)
        return tuple(self._one(one, value) for one in given)

    def _one(self, value: Any, whole: Any) -> Any:
        if self.choices and value not in self.choices:
            raise self._refused(whole)
        converted: Any = value if type(value) is self.type else self._converted(value, whole)
        if self.positive and not 0 < converted < float("inf"):
            raise self._refused(whole)
        low, high = self.low, self.high
        # Written so that NaN, which is in no range, is refused.
        if (low is not None and not converted >= low) or (high is not None and not converted <= high):
            raise self._refused(whole)
        return converted

    def _converted(self, value: Any, whole: Any) -> Any:
        try:
            converted = self.type(value)
        except (TypeError, ValueError, OverflowError):
            converted = None
        if converted is None or converted != value or isinstance(value, bool) is not (self.type is bool):
            raise self._refused(whole)
        return converted

    def _refused(self, value: Any) -> InputError:
        return InputError(f"{self.name} must be {self.allowed}, not {value!r}")

    @property
    def allowed(self) -> str:
        """Allowed values in words."""
        if self.many is None:
            noun = "one" if self.choices else _NOUNS[self.type][0]
        else:
            least, most = self.many
            noun = f"{least if least == most else f'{least} to {most}'} {_NOUNS[self.type][1]}"
        if self.choices:
            return f"{noun} of {', '.join(self.choices)}"
        if self.positive:
            return f"{noun}, finite and greater than 0"
        if self.low is not None and self.high is not None:
            return f"{noun} from {self.low} to {self.high}"
        if self.low is not None:
            return f"{noun} of at least {self.low}"
        return noun if self.high is None else f"{noun} of at most {self.high}"
