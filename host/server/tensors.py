"""Tensors of the Open Inference Protocol: requests and answers, as JSON and as bytes behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct, field

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

from .problems import ProblemError
from .refusals import decoded

__all__ = [
    "DATATYPES",
    "LENGTH",
    "TEXT",
    "AskedOutput",
    "InferAnswer",
    "InferRequest",
    "TensorMessage",
    "Tensors",
    "as_complex",
    "columns",
    "encoded",
    "message",
]

_Array = npt.NDArray[Any]
_Message = TypeVar("_Message", "InferRequest", "InferAnswer")

#: Header with the bytes of the JSON, where others follow.
LENGTH: Final = "inference-header-content-length"
#: Datatype of the protocol for each dtype.
DATATYPES: Final = {
    "bool": "BOOL",
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
    "complex64": "FP32",
    "complex128": "FP64",
}
#: Datatype of texts, in UTF-8.
TEXT: Final = "BYTES"
_DTYPES: Final = {datatype: name for name, datatype in reversed(DATATYPES.items())}


class TensorMessage(Struct, omit_defaults=True):
    """Tensor: numbers in row-major order, flat or nested, or a number of bytes behind the JSON."""

    name: str
    shape: list[Annotated[int, Meta(ge=0)]]
    datatype: str
    parameters: dict[str, Any] = field(default_factory=dict)
    data: Any = None


class AskedOutput(Struct, omit_defaults=True):
    """Tensor that a request asks for, as JSON or as bytes."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


class InferRequest(Struct, omit_defaults=True):
    """Request of a model: tensors, and options of the operator as parameters."""

    inputs: list[TensorMessage]
    id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: list[AskedOutput] | None = None


class InferAnswer(Struct, omit_defaults=True):
    """Answer of a model; the parameters say who answered, why, and after which failures."""

    model_name: str
    model_version: str
    outputs: list[TensorMessage]
    id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tensors(Generic[_Message]):
    """Body of a request or an answer: its JSON, and the bytes behind it.

    Attributes
    ----------
    message : InferRequest or InferAnswer
    binary : memoryview
        Bytes of the tensors that have no ``data``, one after another.
    """

    message: _Message
    binary: memoryview

    @classmethod
    def of(cls, kind: type[_Message], body: bytes, header: str | None) -> Tensors[_Message]:
        """Return the parts of a body.

        Parameters
        ----------
        kind : InferRequest or InferAnswer
        body : bytes
        header : str or None
            ``Inference-Header-Content-Length``: bytes of the JSON, by default all.

        Raises
        ------
        ProblemError
            The header is no such number, or the JSON is not of the schema.
        msgspec.DecodeError
            The JSON is malformed.
        """
        length = len(body)
        if header is not None:
            if not header.isascii() or not header.isdecimal() or int(header) > len(body):
                raise ProblemError(
                    400, f"inference-header-content-length must be 0 to {len(body)}, not {printable(header)}"
                )
            length = int(header)
        return cls(decoded(body[:length], kind), memoryview(body)[length:])

    def arrays(self) -> dict[str, _Array]:
        """Return the tensors as arrays by name; raises `InputError` for one that is not what it says."""
        at, found = 0, dict[str, _Array]()
        message = self.message
        for tensor in message.inputs if isinstance(message, InferRequest) else message.outputs:
            if tensor.name in found:
                raise InputError(f"the tensor {printable(tensor.name)} is given twice")
            size = tensor.parameters.get("binary_data_size")
            if size is None:
                array = _from_json(tensor)
            elif type(size) is int and 0 <= size <= len(self.binary) - at:
                array = _from_bytes(tensor, self.binary[at : at + size])
                at += size
            else:
                left = len(self.binary) - at
                raise InputError(f"binary_data_size of {printable(tensor.name)} must be 0 to {left}, not {size!r}")
            found[tensor.name] = as_complex(tensor.name, array) if tensor.parameters.get("complex") is True else array
        if at != len(self.binary):
            raise InputError(f"{len(self.binary) - at} bytes behind the JSON belong to no tensor")
        return found


def message(name: str, array: _Array, *, binary: bool) -> tuple[TensorMessage, bytes]:
    """Return the tensor of an array, and the bytes that follow the JSON, none if they are not wanted there.

    Raises
    ------
    InputError
        JSON cannot hold its numbers.
    """
    complex_ = array.dtype.kind == "c"
    array, datatype = _plain(array)
    tensor = TensorMessage(name, [*array.shape], datatype, {"complex": True} if complex_ else {})
    if not binary:
        tensor.data = _to_json(name, array, datatype)
        return tensor, b""
    content = array.tobytes()
    tensor.parameters["binary_data_size"] = len(content)
    return tensor, content


def as_complex(name: str, array: _Array) -> _Array:
    """Return complex numbers from FP32 or FP64 with a last axis of 2; raises `InputError` for anything else."""
    if array.dtype not in (np.float32, np.float64) or array.ndim == 0 or array.shape[-1] != 2:
        said = f"not {array.dtype.name} of shape {array.shape}"
        raise InputError(f"{printable(name)} holds complex numbers, sent as FP32 or FP64 with a last axis of 2, {said}")
    pairs = np.ascontiguousarray(array)
    return pairs.view(np.complex64 if array.dtype == np.float32 else np.complex128)[..., 0]


def encoded(message: InferRequest | InferAnswer, behind: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
    """Return the body of a request or an answer, and its headers."""
    head = msgspec.json.encode(message)
    if not any(
        "binary_data_size" in one.parameters for one in getattr(message, "inputs", None) or message.outputs or ()
    ):
        return head, {"content-type": "application/json"}
    return b"".join([head, *behind]), {"content-type": "application/octet-stream", LENGTH: str(len(head))}


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments or results by name, with each column of a record by itself."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            plain |= {f"{name}.{key}": column for key, column in value.items()}
        else:
            plain[name] = value
    return plain


def _texts_of(tensor: TensorMessage, content: memoryview) -> _Array:
    """Return the elements of a tensor of BYTES, each sent behind its length, 4 bytes."""
    found, at, name = [], 0, printable(tensor.name)
    for _ in range(math.prod(tensor.shape)):
        if at + 4 > len(content) or at + 4 + (size := int.from_bytes(content[at : at + 4], "little")) > len(content):
            raise InputError(
                f"{name} ends within an element, of which each is its length in 4 bytes and then its bytes"
            )
        try:
            found.append(bytes(content[at + 4 : at + 4 + size]).decode())
        except UnicodeDecodeError as error:
            raise InputError(f"{name} holds text that is not UTF-8: {printable(str(error))}") from error
        at += 4 + size
    if at != len(content):
        raise InputError(f"{name} has {math.prod(tensor.shape):,} elements by its shape, and more were sent")
    return np.array(found, np.object_).reshape(tensor.shape)


def _dtype(tensor: TensorMessage) -> np.dtype[Any]:
    if tensor.datatype not in _DTYPES:
        known = ", ".join(sorted({TEXT, *DATATYPES.values()}))
        raise InputError(
            f"datatype of {printable(tensor.name)} must be one of {known}, not {printable(tensor.datatype)}"
        )
    return np.dtype(_DTYPES[tensor.datatype])


def _from_bytes(tensor: TensorMessage, content: memoryview) -> _Array:
    if tensor.datatype == TEXT:
        return _texts_of(tensor, content)
    dtype = _dtype(tensor)
    if len(content) != (wanted := math.prod(tensor.shape) * dtype.itemsize):
        raise InputError(f"{printable(tensor.name)} has {wanted:,} bytes by its shape, and {len(content):,} were sent")
    array = np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(tensor.shape)
    if dtype == np.bool_ and (np.frombuffer(content, np.uint8) > 1).any():
        raise InputError(f"{printable(tensor.name)} must hold the bytes 0 and 1")
    return array


def _from_json(tensor: TensorMessage) -> _Array:
    name, text = printable(tensor.name), tensor.datatype == TEXT
    dtype = np.dtype(np.object_) if text else _dtype(tensor)
    if tensor.datatype == "FP16":
        raise InputError(f"{name} is FP16, which is sent as bytes: give binary_data_size")
    flat = _flat(tensor.data, len(tensor.shape), name)
    if len(flat) != (wanted := math.prod(tensor.shape)):
        raise InputError(f"{name} has {wanted:,} elements by its shape, and {len(flat):,} were sent")
    kinds: tuple[type, ...] = {"b": (bool,), "f": (int, float), "O": (str,)}.get(dtype.kind, (int,))
    if wrong := [one for one in flat if type(one) not in kinds]:
        kind = "strings" if text else f"numbers of {tensor.datatype}"
        raise InputError(f"{name} must hold {kind}, not {printable(repr(wrong[0]))}")
    try:
        with np.errstate(over="raise"):
            return np.array(flat, dtype).reshape(tensor.shape)
    except (OverflowError, FloatingPointError) as error:
        raise InputError(f"{name} holds a number that {tensor.datatype} does not hold") from error


def _flat(data: Any, depth: int, name: str) -> list[Any]:
    """Return numbers in row-major order, which come flat or in lists as deep as the shape."""
    if not isinstance(data, list):
        raise InputError(f"{name} needs data, a list, or binary_data_size")
    level: Sequence[Any] = data
    for _ in range(depth - 1):
        if not level or not any(isinstance(one, list) for one in level):
            break
        if not all(isinstance(one, list) and len(one) == len(level[0]) for one in level):
            raise InputError(f"{name} must hold lists of equal lengths")
        level = [one for some in level for one in some]
    return [*level]


def _plain(array: _Array) -> tuple[_Array, str]:
    """Return an array without complex numbers, little-endian and in row-major order, and its datatype."""
    array = np.asarray(array, order="C")
    datatype = DATATYPES[array.dtype.name]
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
    return array.astype(array.dtype.newbyteorder("<"), copy=False), datatype


def _to_json(name: str, array: _Array, datatype: str) -> list[Any]:
    if datatype == "FP16":
        raise InputError(f"{name} is FP16, which is sent as bytes: ask for binary_data")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{name} holds infinities or NaN, which JSON lacks: ask for binary_data")
    numbers: list[Any] = array.reshape(-1).tolist()
    return numbers
