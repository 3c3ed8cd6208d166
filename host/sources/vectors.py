"""Precomputed vectors, from a ``.npy`` file of floats with one row per entry."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.arrays import mapped
from ninefold.spec.errors import InputError
from ninefold.spec.formats import DIMENSIONS_MAX
from ninefold.spec.terminal import printable

__all__ = ["check_kept", "check_rows", "claims", "load"]

_FLOATS = ("float16", "float32", "float64")
_KINDS = {
    "i": "integers",
    "u": "integers",
    "b": "booleans",
    "c": "complex numbers",
    "S": "byte strings",
    "U": "strings",
    "V": "records",
}
#: Largest rounding error of a row, relative to its length. Numbers in a format's normal range lose at most 2**-11.
_LOSS = 2.0**-8
#: Use of each format, and the option that avoids it.
_ROLES = {
    "float16": ("of the stored vectors", ", or use --no-vectors"),
    "float32": ("of the quantiser", ""),
}


def claims(source: str) -> bool:
    """Return True if the source is a file of vectors, by its name."""
    return source.lower().endswith(".npy")


def load(source: str) -> npt.NDArray[Any]:
    """Map a file of vectors.

    Parameters
    ----------
    source : str
        Path of a ``.npy`` file of shape (N, D) and dtype float16, float32 or float64.

    Returns
    -------
    array of shape (N, D) or (D,)
        Memory-mapped; its values are not checked yet (see `check_rows`).

    Raises
    ------
    InputError
        If it is not such a file; the message says what it is.
    """
    name = printable(source)
    try:
        array = mapped(Path(source))
    except FileNotFoundError:
        raise InputError(f"{name} does not exist") from None
    except ValueError as error:
        raise InputError(f"{name} is not a .npy file of numbers: {error}") from error
    if isinstance(array, np.memmap) and (rest := Path(source).stat().st_size - array.offset - array.nbytes):
        raise InputError(
            f"{name} holds {rest:,} bytes after its array, which would be ignored; save one array per file"
        )
    if array.dtype.name not in _FLOATS:
        what = f"{printable(array.dtype.name)} ({_KINDS.get(array.dtype.kind, 'another kind')})"
        raise InputError(f"{name} must hold float16, float32 or float64, not {what}")
    said = f"{name} must have shape (N, D) with D from 1 to {DIMENSIONS_MAX}, not {array.shape}"
    if array.ndim not in (1, 2):
        raise InputError(f"{said}: it has {array.ndim} dimensions")
    if not 1 <= array.shape[-1] <= DIMENSIONS_MAX:
        raise InputError(f"{said}: it has {array.shape[-1] or 'no'} columns")
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
        For NaN, an infinity, a number beyond float32, or a row whose numbers are too small for float32; names the row.
    """
    with np.errstate(over="ignore", under="ignore"):
        values = np.ascontiguousarray(rows, np.float32)
    _check_finite(rows, values, source, first)
    if rows.dtype.itemsize > values.dtype.itemsize:
        _check_loss(np.asarray(rows), values, source, first)
    return values


def check_kept(values: npt.NDArray[np.float32], source: str, first: int = 0) -> npt.NDArray[np.float16]:
    """Return rows as the float16 vectors that an index keeps.

    Parameters
    ----------
    values : float32 array of shape (n, D)
        Finite.
    source : str
        Named in the error.
    first : int
        Number of the first row, for the error.

    Raises
    ------
    InputError
        For a number beyond float16, and for a row that rounding to float16 would change by more than 1/256 of its
        length, as happens when all its numbers are below about 4e-6.
    """
    with np.errstate(over="ignore", under="ignore"):
        kept = values.astype(np.float16)
    _check_finite(values, kept, source, first)
    _check_loss(values, kept, source, first)
    return kept


def _check_finite(rows: npt.NDArray[Any], values: npt.NDArray[Any], source: str, first: int) -> None:
    """Refuse rows that are not finite, or not finite after conversion to `values`."""
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return
    row, column = (int(at) for at in np.argwhere(wrong)[0])
    value = rows[row, column]
    name, place = printable(source), f"row {first + row} holds {value:g}"
    if not np.isfinite(value):
        raise InputError(f"{name} must hold finite numbers, but {place} in column {column}")
    role, way_out = _ROLES[values.dtype.name]
    most = float(np.finfo(values.dtype).max)
    raise InputError(
        f"{name}: {place}, beyond the {values.dtype.name} range of {most:g} {role}, in column {column}; "
        f"divide all rows by a constant{way_out}"
    )


def _check_loss(rows: npt.NDArray[Any], values: npt.NDArray[Any], source: str, first: int) -> None:
    """Refuse a row that conversion to `values` changed too much: its numbers are too small for the format."""
    wide = rows.astype(np.float64)
    most = np.abs(wide).max(axis=1)
    # In units of the row's largest number, since its square could underflow.
    unit = np.where(most > 0, most, 1)[:, None]
    wide /= unit
    error = values / unit - wide
    lost = np.einsum("nd,nd->n", error, error) > _LOSS**2 * np.einsum("nd,nd->n", wide, wide)
    if lost.any():
        row, name = int(np.argmax(lost)), values.dtype.name
        role, way_out = _ROLES[name]
        least = float(np.finfo(values.dtype).smallest_normal)
        raise InputError(
            f"{printable(source)}: the numbers of row {first + row}, at most {most[row]:g}, are too small for the "
            f"{name} {role}, which loses digits below {least:.2g}; multiply all rows by a constant{way_out}"
        )
