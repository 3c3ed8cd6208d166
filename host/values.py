"""Arguments of operators from files and words, and results to files."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.arrays import mapped
from ninefold.numerics.states import load_state
from ninefold.spec.data import Database, RaggedArray
from ninefold.spec.errors import InputError, did_you_mean
from ninefold.spec.files import written_aside
from ninefold.spec.signature import Argument, Layout, Operator, Option, Ragged, Record, Resident, Tensor
from ninefold.spec.tensors import shape_text

__all__ = ["describe", "parse_option", "read_argument", "write_results"]

_WORDS: Final = {"true": True, "false": False}


def describe(argument: Argument) -> str:
    """Return the type of an argument or result in words, e.g. ``"int32 or float32 (Q, N)"``."""
    if isinstance(argument, Resident):
        held = [field.name for field in argument.layout.fields] + [option.name for option in argument.layout.attributes]
        return f"{argument.kind} of {', '.join(held)}"
    if isinstance(argument, Record):
        return f"record of {', '.join(f'{field.name} {describe(field)}' for field in argument.fields)}"
    if isinstance(argument, Ragged):
        return f"{argument.lists} lists of {describe(argument.values)}"
    return f"{' or '.join(argument.dtypes)} {shape_text(argument.shape)}"


def read_argument(argument: Argument, text: str) -> Any:
    """Return the value of an argument from the command line.

    Parameters
    ----------
    argument : Tensor, Record, Ragged or Resident
        Declaration.
    text : str
        For a tensor a ``.npy`` file, or JSON numbers such as ``3`` or ``[[1, 2]]``; complex numbers are strings, such
        as ``["1+2j", 3]``. For a record a ``.npz`` file with its columns, of which a ragged one is ``NAME.values`` and
        ``NAME.offsets``. For ragged lists a ``.npz`` file with ``values`` and ``offsets``. For a database the name or
        path of an index, or a ``.npz`` file with its arrays, and attributes as arrays without axes. For a state a file
        that a step has saved.

    Raises
    ------
    InputError
        There is no such file, or it is of another kind; the message names the argument and the file.
    DamagedDataError
        The file of a state is damaged.
    """
    if isinstance(argument, Resident):
        if argument.kind == "state":
            return load_state(_existing(argument.name, text))
        return _database(argument.name, argument.layout, text)
    if isinstance(argument, Tensor):
        return _tensor(argument, text)
    if text.lstrip()[:1] in ("[", "{"):
        holds = (
            "values and offsets" if isinstance(argument, Ragged) else ", ".join(field.name for field in argument.fields)
        )
        raise InputError(f"{argument.name} must be a .npz file with {holds}, not JSON")
    with _members(argument.name, text) as members:
        if isinstance(argument, Ragged):
            return _ragged(argument.name, "", members)
        known = {field.name for field in argument.fields}
        if unknown := [name for name in members if name.partition(".")[0] not in known]:
            raise InputError(f"{argument.name} may hold {', '.join(sorted(known))}; {text} holds {', '.join(unknown)}")
        return {
            field.name: _ragged(argument.name, f"{field.name}.", members)
            if isinstance(field, Ragged)
            else members[field.name]
            for field in argument.fields
            if field.name in members or f"{field.name}.values" in members
        }


def parse_option(option: Option, text: str) -> Any:
    """Return the value of an option from a word; a tuple is separated by commas.

    Raises
    ------
    InputError
        The word does not stand for an allowed value.
    """

    def one(word: str) -> Any:
        if option.type is bool:
            return _WORDS.get(word, word)
        try:
            return option.type(word)
        except ValueError:
            return word  # the option's own check refuses it

    return option.check(one(text) if option.many is None else tuple(one(word) for word in text.split(",")))


def write_results(operator: Operator, values: Mapping[str, Any], path: Path) -> None:
    """Write results to a ``.npz`` file that is complete or absent: columns of a record as ``RESULT.COLUMN``."""
    members: dict[str, Any] = {}
    for result in operator.results:
        value = values[result.name]
        columns = (
            {f"{result.name}.{key}": column for key, column in value.items()} if isinstance(value, Mapping) else {}
        )
        for name, array in (columns or {result.name: value}).items():
            if isinstance(array, RaggedArray):
                members |= {f"{name}.values": array.values, f"{name}.offsets": array.offsets}
            else:
                members[name] = array
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **members)


def _existing(name: str, text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        near = did_you_mean(
            path.name, [p.name for p in path.parent.glob("*") if p.is_file()] if path.parent.is_dir() else []
        )
        raise InputError(f"{name} must be a file, and there is no file {text}{near}")
    return path


def _tensor(argument: Tensor, text: str) -> Any:
    if text.lstrip()[:1] in ("[", "{", "-") or text.strip().replace(".", "", 1).isdigit():
        return _from_json(argument, text)
    path = _existing(argument.name, text)
    if path.suffix == ".npz":
        raise InputError(
            f"{argument.name} must be a .npy file; {text} is a .npz file, for records, lists and databases"
        )
    try:
        return mapped(path)
    except ValueError as error:
        raise InputError(f"{argument.name} cannot be read from {text}: {error}") from error


def _from_json(argument: Tensor, text: str) -> npt.NDArray[Any]:
    """Return JSON numbers in the first allowed dtype that holds each of them exactly, else in the nearest float."""
    numbers = _numbers(argument, text)
    with np.errstate(over="ignore", invalid="ignore"):
        for name in argument.dtypes:
            with contextlib.suppress(TypeError, OverflowError):  # a complex number for a real one, or out of range
                converted = numbers.astype(name)
                if ((converted == numbers) | (numbers != numbers)).all():  # noqa: PLR0124 - only NaN is not itself
                    return converted
        # Decimal fractions are exact in no float, so the nearest numbers are what the user means.
        fractions = not all(isinstance(number, int) for number in numbers.reshape(-1).tolist())
        for name in argument.dtypes:
            if fractions and np.dtype(name).kind in "fc":
                with contextlib.suppress(TypeError):
                    return numbers.astype(name)
    raise InputError(f"{argument.name} must be numbers that {' or '.join(argument.dtypes)} holds exactly, not {text}")


def _numbers(argument: Tensor, text: str) -> npt.NDArray[np.object_]:
    """Return JSON numbers as Python's, which are exact; strings are complex numbers, if the argument may have them."""
    try:
        parsed = json.loads(text)
        np.array(parsed)  # refuses lists of different lengths
    except ValueError as error:
        raise InputError(
            f"{argument.name} must be JSON numbers in lists of equal lengths, not {text}: {error}"
        ) from error
    numbers = np.array(parsed, object)
    kinds = any(np.dtype(name).kind == "c" for name in argument.dtypes)
    for place, number in np.ndenumerate(numbers):
        if isinstance(number, str) and kinds:
            try:
                numbers[place] = complex(number)
            except ValueError as error:
                raise InputError(f'{argument.name} must be numbers such as 3 or "1+2j", not {number!r}') from error
        elif type(number) not in (int, float):
            raise InputError(f"{argument.name} must be JSON numbers, not {text}")
    return numbers


@contextlib.contextmanager
def _members(name: str, text: str) -> Iterator[Any]:
    path = _existing(name, text)
    try:
        with np.load(path, allow_pickle=False) as members:
            if not isinstance(members, np.lib.npyio.NpzFile):
                raise InputError(f"{name} must be a .npz file, and {text} is a .npy file")
            yield members
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} cannot be read from {text}: {error}") from error


def _ragged(name: str, prefix: str, members: Any) -> RaggedArray:
    if missing := [key for key in (f"{prefix}values", f"{prefix}offsets") if key not in members]:
        raise InputError(f"the file of {name} must hold {' and '.join(missing)}; it holds {', '.join(members)}")
    return RaggedArray(members[f"{prefix}values"], members[f"{prefix}offsets"])


def _database(name: str, layout: Layout, text: str) -> Database:
    if not text.endswith(".npz"):
        from ninefold.host.index import Index

        return Index.open(text).database
    known = {option.name for option in layout.attributes}
    with _members(name, text) as members:
        everything = {key: members[key] for key in members}
    attributes = {key: array.item() for key, array in everything.items() if key in known and array.ndim == 0}
    return Database({key: array for key, array in everything.items() if key not in attributes}, attributes)
