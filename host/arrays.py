"""Arrays in ``.npy`` files, memory-mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["mapped"]

_MAGIC = b"\x93NUMPY"


def mapped(path: Path) -> npt.NDArray[Any]:
    """Map a file; its values are not looked at.

    Raises
    ------
    ValueError
        When it is no such file, or not a whole one; the message says in words what it is.
    OSError
        When it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if not start:
        raise ValueError("it is empty")
    if start != _MAGIC:
        raise ValueError(f"it begins with {start!r}, not with {_MAGIC!r}")
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # of a damaged header, whatever Python's own parser and tokeniser raise
        raise ValueError("its header is damaged, its data is truncated, or it holds objects") from error
    return array
