"""Operators as models of the Open Inference Protocol.

Every argument and every result is one or more tensors. A column of a record is ``NAME.COLUMN``; lists of different
lengths are ``NAME.values`` and ``NAME.offsets``. Complex numbers are FP32 or FP64 with a last axis of 2; where real
ones are allowed too, the tensor's parameter ``complex`` marks them. A database is named in the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from ninefold.spec.data import Database, RaggedArray, Result, flattened
from ninefold.spec.errors import InputError, did_you_mean
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Argument, Declared, Operator, Ragged, Record, Tensor
from ninefold.spec.terminal import printable

from .problems import ProblemError, UnknownError
from .tensors import (
    DATATYPES,
    TEXT,
    AskedOutput,
    InferAnswer,
    InferRequest,
    Tensors,
    as_complex,
    columns,
    encoded,
    message,
)

__all__ = [
    "VERSION",
    "InferAnswer",
    "InferRequest",
    "Model",
    "Tensors",
    "answer_of",
    "describe",
    "model_of",
    "served",
    "task_of",
]

_Array = npt.NDArray[Any]

#: The one version of every operator.
VERSION: Final = "1"
#: Parameters of a request that are not options of its operator.
_OWN: Final = frozenset({"binary_data_output", "database", "device", "strict"})
#: Arguments in place of which texts may be given.
_TOKENS: Final = ("tokens", "mask")
_TEXTS: Final = "texts"
#: Largest total of results in bytes, since a small request may ask for a large answer.
_LARGEST: Final = 64 << 20


class TensorMetadata(Struct):
    """Name, datatype and shape of a tensor; -1 is an axis of any size."""

    name: str
    datatype: str
    shape: list[int]


class Model(Struct):
    """Operator as a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, Any]


def served() -> list[str]:
    """Return the operators that are served: those without a state, which a request could not name."""
    return [name for name, operator in OPERATORS.items() if not operator.state_name]


def model_of(name: str, version: str = VERSION) -> Operator:
    """Return the operator of a model; raises `UnknownError` if there is none."""
    if name not in (known := served()):
        stateful = f"{name} has a state, which no request names; " if name in OPERATORS else ""
        near = "" if stateful else did_you_mean(name, known)
        raise UnknownError(f"{stateful}models are {', '.join(known)}, not {printable(name)}{near}")
    if version != VERSION:
        raise UnknownError(f"{name} has the version {VERSION}, not {printable(version)}")
    return OPERATORS[name]


def describe(operator: Operator) -> Model:
    """Return the metadata of a model."""
    inputs = [one for argument in operator.arguments for one in _metadata(argument)]
    if _takes_texts(operator):
        inputs.append(TensorMetadata(_TEXTS, TEXT, [-1]))
    outputs = [one for result in operator.results for one in _metadata(result)]
    parameters: dict[str, Any] = {"summary": operator.summary, "tolerance": operator.accuracy}
    parameters |= {option.name: option.allowed for option in operator.options}
    if operator.residents:
        parameters["database"] = "name of an index of this server, or digest of an uploaded resident"
    return Model(operator.name, [VERSION], "ninefold", inputs, outputs, parameters)


def task_of(
    tensors: Tensors[InferRequest], operator: Operator, database: Callable[[str], Database]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return arguments, options and settings of the task that a request asks for.

    Parameters
    ----------
    tensors : Tensors
    operator : Operator
    database : callable
        ``database(name)`` gives the database that a request names.

    Raises
    ------
    InputError
        The request does not fit the operator's signature.
    ProblemError
        413 if the results would be larger than 64 MiB.
    """
    request, arrays = tensors.message, _tokenised(operator, tensors.arrays())
    declared = {one.name: argument for argument in operator.arguments for one in _metadata(argument)}
    if unknown := next((name for name in arrays if name not in declared), None):
        known = ", ".join(declared) or "none"
        raise InputError(f"inputs of {operator.name} are {known}, not {printable(unknown)}")
    arguments: dict[str, Any] = {}
    for argument in operator.arguments:
        if not isinstance(argument, Tensor | Record | Ragged):
            name = request.parameters.get("database")
            if not isinstance(name, str):
                raise InputError(f"{operator.name} needs the parameter database, the name of one")
            arguments[argument.name] = database(name)
        elif (value := _value(argument, arrays)) is not None:
            arguments[argument.name] = value
    options = {name: value for name, value in request.parameters.items() if name not in _OWN}
    settings = {str(name): value for name, value in request.parameters.items() if name in ("device", "strict")}
    if not isinstance(settings.get("device", ""), str) or not isinstance(settings.get("strict", False), bool):
        raise InputError("device must be a string, and strict true or false")
    call = operator.bind(arguments, options)
    shapes = [operator.shape_of(one, call) for one in operator.results if isinstance(one, Tensor)]
    if (size := sum(8 * math.prod(shape) for shape in shapes)) > _LARGEST:
        raise ProblemError(413, f"the results may take {size:,} bytes, of {_LARGEST:,} allowed: ask for less at once")
    return arguments, options, settings


def _tokenised(operator: Operator, arrays: dict[str, _Array]) -> dict[str, _Array]:
    """Return the tensors of a request, with tokens and their mask in place of texts where an operator takes these."""
    if text := next((name for name, array in arrays.items() if array.dtype == np.object_ and name != _TEXTS), None):
        raise InputError(f"only {_TEXTS} may be {TEXT}, and not {printable(text)}")
    if _TEXTS not in arrays or not _takes_texts(operator):
        return arrays
    texts = arrays.pop(_TEXTS)
    if arrays:
        raise InputError(f"give either {_TEXTS} or {' and '.join(_TOKENS)}, not {_TEXTS} and {', '.join(arrays)}")
    if texts.dtype != np.object_ or texts.ndim != 1 or not len(texts):
        raise InputError(f"{_TEXTS} must be {TEXT} of shape (Q,) with at least one text, not of {texts.shape}")
    from ninefold.host.index.embedding import embedder

    return dict(zip(_TOKENS, embedder().arguments(texts.tolist()), strict=True))


def _takes_texts(operator: Operator) -> bool:
    return tuple(argument.name for argument in operator.arguments) == _TOKENS


def answer_of(request: InferRequest, operator: Operator, result: Result) -> tuple[bytes, dict[str, str]]:
    """Return the body of an answer, and its headers."""
    values = {name: np.asarray(array) for name, array in flattened(columns(result.values)).items()}
    asked = request.outputs
    if asked is None:
        asked = [AskedOutput(name) for name in values]
    if unknown := next((one.name for one in asked if one.name not in values), None):
        raise InputError(f"outputs of {operator.name} are {', '.join(values)}, not {printable(unknown)}")
    outputs, behind = [], []
    for one in asked:
        binary = one.parameters.get("binary_data", request.parameters.get("binary_data_output", False))
        if not isinstance(binary, bool):
            raise InputError(f"binary_data of {one.name} must be true or false, not {binary!r}")
        tensor, content = message(one.name, values[one.name], binary=binary)
        outputs.append(tensor)
        behind.append(content)
    parameters = {"answered_by": result.answered_by, "why": result.why, "fallbacks": list(result.fallbacks)}
    return encoded(InferAnswer(operator.name, VERSION, outputs, request.id, parameters), behind)


def _metadata(declared: Argument) -> list[TensorMetadata]:
    if isinstance(declared, Tensor):
        dtype = declared.dtypes[0]
        shape = [size if isinstance(size, int) else -1 for size in declared.shape]
        return [TensorMetadata(declared.name, DATATYPES[dtype], shape + [2] * dtype.startswith("complex"))]
    if isinstance(declared, Record):
        return [
            TensorMetadata(f"{declared.name}.{one.name}", one.datatype, one.shape)
            for column in declared.fields
            for one in _metadata(column)
        ]
    if isinstance(declared, Ragged):
        (values,) = _metadata(declared.values)
        return [
            TensorMetadata(f"{declared.name}.values", values.datatype, values.shape),
            TensorMetadata(f"{declared.name}.offsets", "INT64", [-1]),
        ]
    return []


def _value(declared: Declared, arrays: Mapping[str, _Array], prefix: str = "") -> Any:
    """Return the value of an argument from its tensors, or None if none of them is given."""
    name = f"{prefix}{declared.name}"
    if isinstance(declared, Tensor):
        return _fitting(declared, arrays.get(name))
    if isinstance(declared, Ragged):
        values, offsets = arrays.get(f"{name}.values"), arrays.get(f"{name}.offsets")
        if values is None and offsets is None:
            return None
        if values is None or offsets is None:
            raise InputError(f"{name} needs both {name}.values and {name}.offsets")
        return RaggedArray(_fitting(declared.values, values), offsets)
    columns = {column.name: _value(column, arrays, f"{name}.") for column in declared.fields}
    given = {key: column for key, column in columns.items() if column is not None}
    return given or None


def _fitting(declared: Tensor, array: _Array | None) -> _Array | None:
    """Return an array as complex numbers where nothing else is declared."""
    if array is None or array.dtype.kind == "c" or declared.dtypes != ("complex64",):
        return array
    return as_complex(declared.name, array)
