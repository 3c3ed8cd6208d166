"""Files of an index, memory-mapped, while another process may replace its folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.arrays import mapped
from ninefold.spec.errors import DamagedDataError

__all__ = ["held", "mapped_array", "mapped_bytes"]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether another folder has taken the name of `folder` since."""
    try:
        # While the handle is open, no other folder gets this inode number.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield folder.is_dir
        return

    def replaced() -> bool:
        try:
            return not os.path.samestat(folder.stat(), os.fstat(handle))
        except FileNotFoundError:
            # Either between the two renames of a replacement, or removed; the next attempt shows.
            return True

    try:
        yield replaced
    finally:
        os.close(handle)


def mapped_bytes(path: Path) -> npt.NDArray[np.uint8]:
    """Map a file as bytes; raise `DamagedDataError` if it is missing or empty."""
    try:
        return np.memmap(path, np.uint8, "r")
    except FileNotFoundError:
        raise DamagedDataError(f"{path} is missing; rebuild the index") from None
    except ValueError as error:  # an empty file cannot be mapped
        raise DamagedDataError(f"{path} is truncated: {error}; rebuild the index") from error


def mapped_array(path: Path, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """Map a ``.npy`` file; raise `DamagedDataError` unless it holds an array of this shape and dtype."""
    try:
        array = mapped(path)
    except FileNotFoundError:
        raise DamagedDataError(f"{path} is missing; rebuild the index") from None
    except ValueError as error:
        raise DamagedDataError(f"{path} is damaged: {error}; rebuild the index") from error
    if array.shape != shape or array.dtype.name != dtype:
        raise DamagedDataError(
            f"{path} is damaged: it holds {array.dtype.name} {array.shape}, not {dtype} {shape}; rebuild the index"
        )
    return array
