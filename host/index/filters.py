r"""Filters on the fields of entries: ``lang == "de" and year >= 2020 and tag in ["a", "b"]``.

Grammar, from the weakest operator to the strongest::

    filter     = both ("or" both)*
    both       = term ("and" term)*
    term       = "not" term | "(" filter ")" | "exists" field
               | field ("==" | "!=" | "<" | "<=" | ">" | ">=") value
               | field "in" "[" value ("," value)* "]"
    field      = letters, digits, "_", "." and "-", beginning with a letter or "_"; or any name between backquotes
    value      = a string in " or ' with the escapes of JSON, a number, true or false

A comparison is false if the field is missing or null, or if its value is of another kind than the one in the filter;
kinds are string, number and boolean. So ``not year < 2000`` holds for an entry without a year, and ``year >= 2000``
does not. ``in`` holds for a list if it holds for any of its elements.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NoReturn, cast

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

from .columns import Comparator, FieldColumn, Scalar
from .conditions import Comparison, Condition, Existence, Leaf, Membership, Negation, Several, kind_of, leaves

__all__ = ["Filter", "parse"]

#: Limits of a filter: its length in characters, comparisons, values in all lists, and levels of not, and, or.
_CHARACTERS: Final = 32_768
_COMPARISONS: Final = 256
_VALUES: Final = 4096
_LEVELS: Final = 32
#: Characters of a filter that an error shows on each side of the fault.
_SHOWN: Final = 40

_GRAMMAR: Final = r"""
    ?start: either
    ?either: both ("or" both)*
    ?both: term ("and" term)*
    ?term: "not" term -> negation
        | "(" either ")"
        | "exists" name -> existence
        | "exists" "(" name ")" -> existence
        | name COMPARATOR value -> comparison
        | name "in" "[" value ("," value)* "]" -> membership
    name: NAME | QUOTED
    value: STRING | NUMBER | TRUE | FALSE
    TRUE: "true"
    FALSE: "false"
    COMPARATOR: /[=!<>]=|[<>]/
    NAME: /[^\W\d][\w.-]*/
    QUOTED: /`[^`\n]+`/
    STRING: /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/
    NUMBER: /[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/
    %ignore /\s+/
"""
#: What an error calls the symbols of the grammar, in the order in which it lists them.
_WORDS: Final = {
    "NAME": "a field",
    "COMPARATOR": "==, !=, <, <=, >, >=",
    "IN": "in",
    "STRING": "a string",
    "NUMBER": "a number",
    "TRUE": "true",
    "FALSE": "false",
    "NOT": "not",
    "EXISTS": "exists",
    "AND": "and",
    "OR": "or",
    "LSQB": "[",
    "RSQB": "]",
    "COMMA": "a comma",
    "LPAR": "(",
    "RPAR": ")",
    "$END": "the end",
}


@dataclass(frozen=True)
class Filter:
    """Parsed filter.

    Attributes
    ----------
    text : str
        Text that was parsed.
    names : frozenset of str
        Fields that the filter asks for.
    condition : Condition
        Meaning of the text.
    """

    text: str
    names: frozenset[str]
    condition: Condition

    def matches(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the filter holds for the fields of an entry.

        Parameters
        ----------
        fields : mapping of str to value
            JSON values by name, as `Entry.fields` has them.
        """
        return self.condition.matches(fields)

    def mask(self, columns: Mapping[str, FieldColumn]) -> npt.NDArray[np.bool_]:
        """Return the rows for which the filter holds, bool (N,): what `matches` returns for each of them.

        Parameters
        ----------
        columns : mapping of str to FieldColumn
            Columns by name, all of N rows.

        Raises
        ------
        InputError
            If a field of `names` has no column.
        """
        if missing := sorted(self.names - columns.keys()):
            known = ", ".join(sorted(columns)) or "none"
            raise InputError(f"the filter asks for the field {missing[0]!r}, but the columns are {known}")
        return self.condition.mask(columns)


def parse(text: str) -> Filter:
    """Return the filter that a text means.

    Parameters
    ----------
    text : str
        Filter in the grammar above; at most 32,768 characters, 256 comparisons, 4,096 values in lists and 32 levels.

    Raises
    ------
    InputError
        If it is no filter, or exceeds a limit. The message shows the place with a caret.
    """
    from lark import UnexpectedCharacters, UnexpectedToken

    if len(text) > _CHARACTERS:
        raise InputError(f"a filter must have at most {_CHARACTERS:,} characters, not {len(text):,}")
    try:
        condition: Condition = _parser().parse(text)
    except UnexpectedCharacters as error:
        at, stopped = error.pos_in_stream or 0, cast(Any, error.interactive_parser)
        _refuse(text, at, _lexical(text, at, stopped.accepts()))
    except UnexpectedToken as error:
        ended = error.token.type == "$END"
        at = len(text) if ended else error.token.start_pos or 0
        found = "the end" if ended else repr(str(error.token)[:_SHOWN])
        _refuse(text, at, f"expected {_listed(error.accepts or error.expected)}, not {found}")
    except _RefusedError as error:
        _refuse(text, error.at, str(error))
    asked = list(leaves(condition))
    _check_size(asked)
    return Filter(text, frozenset(leaf.name for leaf in asked), condition)


class _RefusedError(Exception):
    """Error of a filter at a position, in characters from 0."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


class _Builder:
    """Callbacks of the parser, one for each rule; they build a condition from the leaves up, without a tree."""

    def name(self, children: Sequence[Any]) -> str:
        (token,) = children
        return str(token)[1:-1] if token.type == "QUOTED" else str(token)

    def value(self, children: Sequence[Any]) -> tuple[int, Scalar]:
        (token,) = children
        match token.type:
            case "STRING":
                return token.start_pos, _string(token)
            case "NUMBER":
                return token.start_pos, _number(token)
        return token.start_pos, token.type == "TRUE"

    def comparison(self, children: Sequence[Any]) -> Comparison:
        name, comparator, (at, value) = children
        if isinstance(value, bool) and comparator not in ("==", "!="):
            raise _RefusedError(at, f"a boolean can be compared by == and != only, not {comparator}")
        return Comparison(name, cast(Comparator, str(comparator)), value)

    def membership(self, children: Sequence[Any]) -> Membership:
        name, *given = children
        values = tuple(value for _, value in given)
        return Membership(name, values, frozenset((kind_of(value), value) for value in values))

    def existence(self, children: Sequence[Any]) -> Existence:
        return Existence(children[0])

    def negation(self, children: Sequence[Any]) -> Negation:
        return Negation(children[0], self._depth(children))

    def both(self, children: Sequence[Any]) -> Several:
        return Several(tuple(children), True, self._depth(children))

    def either(self, children: Sequence[Any]) -> Several:
        return Several(tuple(children), False, self._depth(children))

    @staticmethod
    def _depth(children: Sequence[Condition]) -> int:
        depth = 1 + max(child.depth for child in children)
        if depth > _LEVELS:
            raise _RefusedError(0, f"a filter must have at most {_LEVELS} levels of not, and, or")
        return depth


@cache
def _parser() -> Any:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", transformer=_Builder())


def _check_size(asked: Sequence[Leaf]) -> None:
    values = sum(len(leaf.values) for leaf in asked if isinstance(leaf, Membership))
    for number, most, what in (
        (len(asked), _COMPARISONS, "comparisons"),
        (values, _VALUES, "values in all its lists"),
    ):
        if number > most:
            raise InputError(f"a filter must have at most {most:,} {what}, not {number:,}")


def _string(token: Any) -> str:
    body = str(token)[1:-1]
    if token[0] == "'":
        # JSON knows no escaped apostrophe, and wants quotation marks escaped.
        body = re.sub(r"""(\\[^'])|\\(')|(")""", lambda found: found[1] or found[2] or '\\"', body)
    try:
        text: str = json.loads(f'"{body}"', strict=False)
        text.encode()
    except UnicodeEncodeError:
        raise _RefusedError(token.start_pos, "a string must hold Unicode characters, not half of a pair") from None
    except ValueError:
        raise _RefusedError(
            token.start_pos, 'the escapes of a string are \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX'
        ) from None
    return text


def _number(token: Any) -> int | float:
    if re.fullmatch(r"[+-]?[0-9]{1,400}", token):
        return int(token)
    number = float(token)
    if not math.isfinite(number):
        raise _RefusedError(token.start_pos, "the number is too large")
    return number


def _lexical(text: str, at: int, allowed: Any) -> str:
    """Return what is wrong with a character at which no symbol begins."""
    if text[at] in "\"'`":
        return f"the {'name' if text[at] == '`' else 'string'} is not closed"
    if text[at] == "=":
        return "equality is written =="
    if text[at] in "&|":
        return f"{text[at]} is written {'and' if text[at] == '&' else 'or'}"
    return f"expected {_listed(allowed)}, not {text[at]!r}"


def _listed(terminals: Any) -> str:
    known = [word for name, word in _WORDS.items() if name in terminals]
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} or {known[-1]}"


def _refuse(text: str, at: int, message: str) -> NoReturn:
    """Raise the error of a filter with the text around a position, and a caret under it."""
    first, last = max(0, at - _SHOWN), at + _SHOWN
    before = ("..." if first else "") + printable(text[first:at])
    after = printable(text[at:last]) + ("..." if last < len(text) else "")
    raise InputError(f"the filter is wrong at character {at + 1}: {message}\n  {before}{after}\n  {' ' * len(before)}^")
