"""Arrays in ``.npy`` files, memory-mapped."""

from __future__ import annotations

import ast
import math
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["mapped"]

_MAGIC = b"\x93NUMPY"
#: First bytes of files that are mistaken for ``.npy`` files, and their types.
_OTHERS = ((b"PK", "a zip archive, as .npz files are"), (b"\x80", "a pickle"), (b"\x89HDF", "an HDF5 file"))


def mapped(path: Path) -> npt.NDArray[Any]:
    """Map a file without checking its values.

    Raises
    ------
    ValueError
        The file is not a ``.npy`` file, or is incomplete; the message describes what it is.
    OSError
        The file cannot be read.
    """
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if not start:
        raise ValueError("it is empty")
    if start != _MAGIC:
        other = next((f"it is {what}" for mark, what in _OTHERS if start.startswith(mark)), "")
        raise ValueError(other or f"it begins with {start!r}, not with {_MAGIC!r}")
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # for a damaged header, Python's parser and tokeniser raise many types
        raise ValueError(_fault(path)) from error
    return array


def _fault(path: Path) -> str:
    """Return the reason that NumPy does not map a file that begins like a ``.npy`` file."""
    damaged, size = "its header is damaged", path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_MAGIC) + 2)
        width = 2 if start.endswith(b"\1\0") else 4
        length = int.from_bytes(file.read(width), "little")
        header = file.read(length)
    begin = len(_MAGIC) + 2 + width + length
    if size < begin:
        return f"it is truncated: it ends within its header, after {size} bytes"
    try:
        fields = ast.literal_eval(header.decode("latin-1").strip())
        dtype, shape = np.dtype(fields["descr"]), tuple(int(side) for side in fields["shape"])
    except Exception:  # the parsers raise many types
        return damaged
    if dtype.hasobject:
        return "it holds Python objects (a pickle), not numbers"
    needed = begin + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) >= 0 and size < needed:
        return f"it is truncated: an array of {dtype.name} {shape} needs {needed} bytes, and it has {size}"
    return damaged
