"""Weights of the sentence model in a safetensors file, whole or quantised.

Of a quantised tensor NAME the file has ``NAME.packed``, ``NAME.scales``, ``NAME.positions`` and ``NAME.outliers``. Its
metadata have shapes and bits by name, as JSON under `QUANTISED`.
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime.runtime import load
from ninefold.numerics.weights import QuantisedWeights, dequantise_weights
from ninefold.spec.errors import DamagedDataError, UnavailableError

__all__ = ["QUANTISED", "Weights", "needed", "read_weights", "write_weights"]

Weights = dict[str, npt.NDArray[Any]]

#: Key of the metadata of quantised tensors.
QUANTISED: Final = "ninefold.quantised"
#: Types of numbers that a safetensors file may hold here.
_DTYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}
_PARTS: Final = ("packed", "scales", "positions", "outliers")


def needed(module: str) -> Any:
    """Import a module of the extra ``embed``, or raise `UnavailableError` saying how to install it."""
    try:
        return load(module) if module.partition(".")[0] == "openvino" else importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise UnavailableError(f"embedding needs {package}", "run `pip install 'ninefold[embed]'`") from error


def read_weights(path: Path) -> Weights:
    """Map the weights, so that the graph's constants share the file's pages instead of copying 90 MB.

    Quantised tensors are expanded to float32.

    Raises
    ------
    DamagedDataError
        The file is not a safetensors file, or a quantised tensor in it is damaged; the message names it.
    """
    safetensors = needed("safetensors")
    try:
        with safetensors.safe_open(path, framework="numpy"):
            pass  # raises if the header does not match the file's size
        # Copy on write, since OpenVINO shares only writable arrays.
        content = np.memmap(path, np.uint8, "c")
        start = 8 + int.from_bytes(content[:8].tobytes(), "little")
        header = json.loads(content[8:start].tobytes())
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise DamagedDataError(f"{path} is not a valid safetensors file: {error}") from error
    metadata = header.pop("__metadata__", {})
    tensors = {name: _tensor(content[start:], entry, path) for name, entry in header.items()}
    return _expanded(tensors, metadata, path) if QUANTISED in metadata else tensors


def write_weights(path: Path, whole: Weights, quantised: Mapping[str, QuantisedWeights]) -> None:
    """Write a new safetensors file.

    Parameters
    ----------
    path : Path
        Name of the file.
    whole : dict of str to array
        Tensors that are stored as they are.
    quantised : mapping of str to QuantisedWeights
        Quantised tensors.
    """
    parts = {f"{name}.{part}": getattr(one, part) for name, one in quantised.items() for part in _PARTS}
    about = {name: {"bits": one.bits, "shape": list(one.shape)} for name, one in quantised.items()}
    tensors = {name: np.ascontiguousarray(array) for name, array in {**whole, **parts}.items()}
    path.write_bytes(needed("safetensors.numpy").save(tensors, {QUANTISED: json.dumps(about)}))


def _tensor(data: npt.NDArray[np.uint8], entry: dict[str, Any], path: Path) -> npt.NDArray[Any]:
    """Return one tensor of a safetensors file; `data` is the content after the checked header."""
    if entry["dtype"] not in _DTYPES:
        raise DamagedDataError(f"{path} holds numbers of type {entry['dtype']}, not of {', '.join(_DTYPES)}")
    begin, end = entry["data_offsets"]
    array = data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return array if array.flags.aligned else array.copy()


def _expanded(tensors: Weights, metadata: Mapping[str, str], path: Path) -> Weights:
    """Return tensors with the parts of each quantised one replaced by its weights."""
    try:
        about = json.loads(metadata[QUANTISED])
        described = [(str(name), int(one["bits"]), tuple(map(int, one["shape"]))) for name, one in about.items()]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedDataError(f"{path} has no readable description of its quantised weights: {error}") from error
    for name, bits, shape in described:
        try:
            parts = {part: np.asarray(tensors.pop(f"{name}.{part}")) for part in _PARTS}
            tensors[name] = dequantise_weights(QuantisedWeights(shape, bits, **parts))
        except KeyError as error:
            raise DamagedDataError(f"{path} has no {error.args[0]!r}") from error
        except DamagedDataError as error:
            raise DamagedDataError(f"{name} in {path} is damaged: {error}") from error
    return tensors
