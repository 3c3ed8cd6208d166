"""Vectors that are there already: a ``.npy`` file of floats, one row an entry."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.arrays import mapped
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX

__all__ = ["check_rows", "claims", "load"]


def claims(source: str) -> bool:
    """Return whether the source is a file of vectors."""
    return source.lower().endswith(".npy")


def load(source: str) -> npt.NDArray[Any]:
    """Map a file of vectors.

    Parameters
    ----------
    source : str
        A ``.npy`` file of shape (N, D) and dtype float16, float32 or float64.

    Returns
    -------
    array of shape (N, D)
        Memory-mapped; its values are not looked at yet (`check_rows`).

    Raises
    ------
    InputError
        When it is no such file; the message says what it is.
    """
    try:
        array = mapped(Path(source))
    except FileNotFoundError:
        raise InputError(f"{source} is not there") from None
    except ValueError as error:
        raise InputError(f"{source} is not a .npy file of numbers: {error}") from error
    if array.dtype.name not in ("float16", "float32", "float64"):
        raise InputError(f"{source} must hold float16, float32 or float64, not {array.dtype.name}")
    if array.ndim not in (1, 2) or not 1 <= array.shape[-1] <= DIMENSIONS_MAX:
        raise InputError(f"{source} must have shape (N, D) with D from 1 to {DIMENSIONS_MAX}, not {array.shape}")
    return array


def check_rows(rows: npt.NDArray[Any], source: str, first: int = 0) -> npt.NDArray[np.float32]:
    """Return rows as float32.

    Parameters
    ----------
    rows : float array of shape (n, D)
    source : str
        Named in the error.
    first : int
        Number of the first row, for the error.

    Raises
    ------
    InputError
        For NaN, an infinity or a number beyond float32, with its row.
    """
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(rows, np.float32)
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        value = values[row][~np.isfinite(values[row])][0]
        raise InputError(f"{source} must hold finite numbers, but row {first + row} holds {value}")
    return values
