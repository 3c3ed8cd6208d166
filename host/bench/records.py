"""Record of a run of benchmarks, written and read as JSON."""

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

#: Schema of the files that are written. Schema 1 lacks `Figure.task`.
SCHEMA: Final = 2
_READABLE: Final = (1, 2)
#: Fields of `Figure` that records of schema 1 lack.
_ADDED: Final = frozenset({"task"})
#: Integers below this convert to float without loss.
_WHOLE = 1 << 53


@dataclass(frozen=True)
class Run:
    """Figures of a run, with the machine and the packages that they were measured on.

    Attributes
    ----------
    schema : int
        Schema of the record.
    date : str
        Start of the run, ISO 8601, UTC.
    size : str
        Size of the suites.
    threads : int
        Maximum number of threads of devices and peers.
    commit : str
        Commit of the sources, with ``+`` appended if files differ from it; empty without a checkout.
    machine : Machine
        Machine of the run.
    packages : mapping of str to str
        Versions of the packages.
    suites : mapping of str to tuple of Figure
        Figures of each suite.
    left_out : mapping of str to str
        Reason for each suite that was skipped.
    notes : tuple of str
        Other omissions, and facts that are needed to read the figures.
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
        """Return the record as JSON text that ends with a newline."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "the record") -> Run:
        """Read a record that `to_json` wrote.

        Parameters
        ----------
        text : str or bytes
            JSON text.
        source : str
            Name of the record in error messages, e.g. the path of a file.

        Raises
        ------
        DamagedDataError
            The text is not a record; the message names the source and the faulty key.
        InputError
            The record has an unknown schema.
        """
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:  # Unicode's errors too
            raise DamagedDataError(f"{source} is not JSON: {error}") from error
        if isinstance(plain, dict) and plain.get("schema", SCHEMA) not in _READABLE:
            allowed = " and ".join(map(str, _READABLE))
            raise InputError(f"{source} has schema {plain['schema']!r}; this version of ninefold reads {allowed}")
        try:
            made: Run = _read(cls, plain, "")
        except _BadKeyError as error:
            raise DamagedDataError(f"{source} is not a record of a benchmark run: {error}") from error
        return made


class _BadKeyError(ValueError):
    """Error in a key of the record."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key or 'the whole'} {why}")


def _read(kind: Any, value: Any, key: str) -> Any:
    """Convert a JSON value to an annotated type."""
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
    """Check a string, a number or null."""
    if type(value) in kinds and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    if float in kinds and type(value) is int and abs(value) < _WHOLE:
        return float(value)
    names = {int: "an integer", float: "a number", str: "a string", types.NoneType: "null"}
    raise _BadKeyError(key, f"must be {' or '.join(names[kind] for kind in kinds)}, not {value!r}")


def _object(kind: Any, value: Any, key: str) -> Any:
    """Make a dataclass from a JSON object; a field that schema 1 lacks may be missing."""
    if not isinstance(value, dict):
        raise _BadKeyError(key, f"must be an object, not {value!r}")
    prefix = f"{key}." if key else ""
    hints = typing.get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    for name in value:
        if name not in names:
            raise _BadKeyError(f"{prefix}{name}", "is unknown")
    for name in names:
        if name not in value and name not in _ADDED:
            raise _BadKeyError(f"{prefix}{name}", "is missing")
    try:
        return kind(**{name: _read(hints[name], value[name], f"{prefix}{name}") for name in names if name in value})
    except InputError as error:
        raise _BadKeyError(key, f"is refused: {error}") from error
