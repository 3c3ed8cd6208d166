"""Sentences for requests of another form than the schema's: the value, and what is allowed in its place."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from ninefold.spec.errors import did_you_mean
from ninefold.spec.terminal import printable

from .problems import ProblemError

__all__ = ["decoded"]

_T = TypeVar("_T")

#: Message of msgspec, with the path of the value if it is not the whole.
_SAID: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_NAMED: Final = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\[(\d+|\.\.\.)\]|([^.\[\]]+)")
#: Longest value that is quoted in full.
_QUOTED: Final = 60


def decoded(body: bytes, kind: type[_T]) -> _T:
    """Return a body in JSON as a type.

    Raises
    ------
    ProblemError
        400 for JSON of another form, with the value and what is allowed.
    msgspec.DecodeError
        The body is no JSON.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        value = None
        with contextlib.suppress(msgspec.MsgspecError):  # it holds a number that JSON allows and Python does not
            value = msgspec.json.decode(body)
        raise ProblemError(400, _sentence(str(error), kind, value)) from error


def _sentence(message: str, kind: Any, value: Any) -> str:
    """Return a sentence for the text of a `msgspec.ValidationError` about a value of a type."""
    found = _SAID.fullmatch(message)
    what, path = (message, "") if found is None else (found["what"], found["path"] or "")
    node, known = inspect.type_info(kind), value is not None
    for step in _steps(path):
        node, value, known = _within(node, step, value, known=known)
    where = printable(path) or "the body"
    if named := _NAMED.fullmatch(what):
        name = named[2][:_QUOTED]  # a caller chose it, and its length
        full = printable(f"{path}.{name}" if path else name)
        if named[1].startswith("missing"):
            return f"{full} is missing"
        fields = [one.encode_name for one in node.fields] if isinstance(node, inspect.StructType) else []
        return f"{full} is not allowed: only {', '.join(fields)}{did_you_mean(name, fields)}"
    allowed = _allowed(node)
    if not known or not allowed:
        return f"{where}: {printable(what)}"
    return f"{where}: {_shown(value)} is not allowed: {allowed}"


def _steps(path: str) -> Iterator[str | int]:
    for index, name in _STEP.findall(path):
        yield name or (int(index) if index.isdecimal() else 0)


def _within(node: inspect.Type, step: str | int, value: Any, *, known: bool) -> tuple[inspect.Type, Any, bool]:
    """Return type and value of a field or an element, and whether the value is known."""
    node = _plain(node)
    inside: inspect.Type = inspect.AnyType()
    if isinstance(node, inspect.StructType):
        inside = next((one.type for one in node.fields if one.encode_name == step), inside)
    elif isinstance(node, inspect.ListType):
        inside = node.item_type
    try:
        return inside, value[step], known
    except (KeyError, IndexError, TypeError):
        return inside, None, False


def _plain(node: inspect.Type) -> inspect.Type:
    """Return a type without its metadata, and without the null of an optional one."""
    if isinstance(node, inspect.Metadata):
        return _plain(node.type)
    if isinstance(node, inspect.UnionType):
        left = [one for one in node.types if not isinstance(one, inspect.NoneType)]
        return _plain(left[0]) if len(left) == 1 else node
    return node


def _allowed(node: inspect.Type) -> str:
    """Return what a type allows in words; empty for one that has none."""
    node = _plain(node)
    said = ""
    match node:
        case inspect.BoolType():
            said = "true or false"
        case inspect.IntType() | inspect.FloatType():
            said = f"a {'whole ' if isinstance(node, inspect.IntType) else ''}number{_bounds(node)}"
        case inspect.StrType(pattern=str() as pattern):
            said = f"a string that matches {pattern}"
        case inspect.StrType(min_length=least):
            said = "a string" if least is None else f"a string of {least:,} or more characters"
        case inspect.LiteralType():
            said = f"one of {', '.join(map(str, node.values))}"
        case inspect.ListType(min_length=least, max_length=most):
            size = f" of {least:,}" if least is not None else ""
            said = f"a list{size}{f' to {most:,}' if most is not None else ' or more' if size else ''}"
        case inspect.DictType() | inspect.StructType():
            said = "an object"
    return said


def _bounds(node: inspect.IntType | inspect.FloatType) -> str:
    if node.ge is not None and node.le is not None:
        return f", {node.ge:,} to {node.le:,}"
    if node.gt is not None and node.le is not None:
        return f" more than {node.gt:,} and at most {node.le:,}"
    return "" if node.ge is None else f", {node.ge:,} or more"


def _shown(value: Any) -> str:
    """Return a value as JSON, or the size of a long one."""
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    text = printable(msgspec.json.encode(value).decode())
    if isinstance(value, dict) or len(text) > _QUOTED:
        return "an object" if isinstance(value, dict) else f"{text[:_QUOTED]}... ({len(text):,} characters)"
    return text
