"""The record of a run of benchmarks, as JSON and back."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Final, Literal

from ninefold.spec.benchmark import Figure, Size
from ninefold.spec.errors import DamagedDataError, InputError

from .machine import Machine

__all__ = ["SCHEMA", "Run"]

#: Of the files; another one is refused.
SCHEMA: Final = 1
#: Whole numbers up to this are floats without a loss.
_WHOLE = 1 << 53


@dataclass(frozen=True)
class Run:
    """What was measured, on what and with what.

    Attributes
    ----------
    schema : int
        ``SCHEMA``.
    date : str
        When it began, ISO 8601, UTC.
    size : str
        The size of the suites.
    threads : int
        Most threads of devices and peers.
    commit : str
        Of the sources; ends with ``+`` where files differ from it, empty without a checkout.
    machine : Machine
        What it ran on.
    packages : mapping of str to str
        Versions.
    suites : mapping of str to tuple of Figure
        The figures, by suite.
    left_out : mapping of str to str
        Suites that were not run -> why.
    notes : tuple of str
        What else was left out, and what must be known to read the figures.
    """

    schema: int
    date: str
    size: Size
    threads: int
    commit: str
    machine: Machine
    packages: Mapping[str, str]
    suites: Mapping[str, tuple[Figure, ...]]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """Return the record as a JSON text that ends in a newline."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "the record") -> Run:
        """Return the record that `to_json` wrote.

        Parameters
        ----------
        text : str or bytes
            The JSON text.
        source : str
            What the error calls it, e.g. the path of a file.

        Raises
        ------
        DamagedDataError
            It is not one; the message names the source and the key at fault.
        InputError
            It has another schema.
        """
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:  # Unicode's errors too
            raise DamagedDataError(f"{source} is not JSON: {error}") from error
        if isinstance(plain, dict) and plain.get("schema", SCHEMA) != SCHEMA:
            raise InputError(f"{source} has schema {plain['schema']!r}; this version of ninefold reads {SCHEMA}")
        try:
            made: Run = _read(cls, plain, "")
        except _BadKeyError as error:
            raise DamagedDataError(f"{source} is no record of a run: {error}") from error
        return made


class _BadKeyError(ValueError):
    """A key is at fault."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key or 'the whole'} {why}")


def _read(kind: Any, value: Any, key: str) -> Any:
    """Return the value of an annotated type that stands in JSON as `value`."""
    if is_dataclass(kind):
        return _object(kind, value, key)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value not in arguments:
            raise _BadKeyError(key, f"must be one of {', '.join(map(repr, arguments))}, not {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _BadKeyError(key, f"must be a list, not {value!r}")
        return tuple(_read(arguments[0], item, f"{key}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _BadKeyError(key, f"must be an object, not {value!r}")
        return {name: _read(arguments[1], item, f"{key}.{name}") for name, item in value.items()}
    return _plain(arguments if origin in (typing.Union, types.UnionType) else (kind,), value, key)


def _plain(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    """Return a text, a number or None."""
    if type(value) in kinds and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    if float in kinds and type(value) is int and abs(value) < _WHOLE:
        return float(value)
    names = {int: "an integer", float: "a number", str: "a text", types.NoneType: "null"}
    raise _BadKeyError(key, f"must be {' or '.join(names[kind] for kind in kinds)}, not {value!r}")


def _object(kind: Any, value: Any, key: str) -> Any:
    """Return a dataclass from an object that has exactly its fields."""
    if not isinstance(value, dict):
        raise _BadKeyError(key, f"must be an object, not {value!r}")
    prefix = f"{key}." if key else ""
    hints = typing.get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    for name in value:
        if name not in names:
            raise _BadKeyError(f"{prefix}{name}", "is not known")
    for name in names:
        if name not in value:
            raise _BadKeyError(f"{prefix}{name}", "is missing")
    try:
        return kind(**{name: _read(hints[name], value[name], f"{prefix}{name}") for name in names})
    except InputError as error:
        raise _BadKeyError(key, f"is refused: {error}") from error
