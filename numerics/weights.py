"""Weights of 8, 6 and 4 bits: symmetric integers with a scale for each row, and outliers kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import DamagedDataError, InputError

__all__ = ["BITS", "OUTLIERS", "QuantisedWeights", "dequantise_weights", "quantise_weights"]

#: Bits of a weight, the most accurate first.
BITS: Final = (8, 6, 4)
#: Share of the weights that are kept apart, with all their bits.
OUTLIERS: Final = 0.01
#: Smallest scale, so that its rounding stays small against it.
_SCALE_MIN: Final = np.float32(2.0**-126)
_ELEMENTS_MAX: Final = 2**31 - 1


@dataclass(frozen=True, eq=False)
class QuantisedWeights:
    """Result of `quantise_weights`.

    Attributes
    ----------
    shape : tuple of int
        Shape of the weights. A row is along the last axis; an array without axes is one row.
    bits : int
        One of `BITS`.
    packed : uint8 array
        The integers q of all weights, from -(2**(bits - 1) - 1) to 2**(bits - 1) - 1, in two's complement of `bits`
        bits, the first one in the lowest bits. The last byte is filled with 0. Outliers have q = 0.
    scales : float32 array (rows,)
        A weight is q times the scale of its row, rounded to float32.
    positions : int32 array (O,)
        Positions of the outliers in the flat array, ascending: the largest 1 % of the magnitudes, rounded up; of equal
        ones the first.
    outliers : float32 array (O,)
        Their values.
    """

    shape: tuple[int, ...]
    bits: int
    packed: npt.NDArray[np.uint8]
    scales: npt.NDArray[np.float32]
    positions: npt.NDArray[np.int32]
    outliers: npt.NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(int(a.nbytes) for a in (self.packed, self.scales, self.positions, self.outliers))

    @property
    def bound(self) -> npt.NDArray[np.float64]:
        """Largest error of a weight of each row, float64 (rows,): half a scale, and 2**-15 of it for rounding."""
        return self.scales.astype(np.float64) * (0.5 + 2.0**-15)


def quantise_weights(weights: npt.NDArray[Any], bits: int) -> QuantisedWeights:
    """Quantise weights to integers of 8, 6 or 4 bits.

    Of each row, the scale is the largest magnitude that is no outlier, divided by 2**(bits - 1) - 1. An integer is the
    nearest to the weight divided by the scale, of two the even one.

    Parameters
    ----------
    weights : float32 or float16 array
        Weights of any shape, finite.
    bits : int
        8, 6 or 4.

    Raises
    ------
    InputError
        A weight is not finite (the message gives its position), the dtype or the number of bits is not allowed, or
        there are more than 2**31 - 1 weights.
    """
    if bits not in BITS:
        raise InputError(f"bits must be one of {', '.join(map(str, BITS))}, not {bits!r}")
    array = np.asarray(weights)
    if array.dtype not in (np.float32, np.float16):
        raise InputError(f"weights must have dtype float32 or float16, not {array.dtype}")
    if array.size > _ELEMENTS_MAX:
        raise InputError(f"weights must be at most {_ELEMENTS_MAX:,}, not {array.size:,}")
    if len(wrong := np.argwhere(~np.isfinite(array))):
        at = tuple(wrong[0].tolist())
        raise InputError(f"weights must be finite, not {array[at]} at {at}")
    flat = array.astype(np.float32).reshape(-1)
    positions = _largest(np.abs(flat))
    rest = flat.copy()
    rest[positions] = 0
    rows = rest.reshape(-1, array.shape[-1]) if array.ndim and array.size else rest.reshape(1, -1)
    most = np.abs(rows).max(axis=1, initial=0).astype(np.float64)
    limit = 2 ** (bits - 1) - 1
    scales = np.maximum((most / limit).astype(np.float32), _SCALE_MIN)
    integers = np.rint(rows.astype(np.float64) / scales[:, None]).clip(-limit, limit).astype(np.int8)
    packed = _packed(integers.reshape(-1), bits)
    return QuantisedWeights(array.shape, bits, packed, scales, positions.astype(np.int32), flat[positions])


def dequantise_weights(quantised: QuantisedWeights) -> npt.NDArray[np.float32]:
    """Return the weights, float32 of the original shape, with the outliers in place.

    The error of a weight is at most `QuantisedWeights.bound`; outliers have none.

    Raises
    ------
    DamagedDataError
        The parts do not fit together; the message names the first that does not.
    """
    count = int(np.prod(quantised.shape, dtype=np.int64))
    _check(quantised, count)
    integers = _unpacked(quantised.packed, quantised.bits, count)
    limit = 2 ** (quantised.bits - 1) - 1
    if (integers < -limit).any():
        at = int(np.flatnonzero(integers < -limit)[0])
        raise DamagedDataError(
            f"integers of {quantised.bits} bits must be -{limit} to {limit}, not {integers[at]} at {at}"
        )
    rows = integers.reshape(len(quantised.scales), -1) if count else integers.reshape(1, 0)
    weights: npt.NDArray[np.float32] = (rows.astype(np.float32) * quantised.scales[:, None]).reshape(-1)
    weights[quantised.positions] = quantised.outliers
    return weights.reshape(quantised.shape)


def _largest(magnitudes: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the positions of the largest 1 %, ascending."""
    count = -(-len(magnitudes) // round(1 / OUTLIERS))
    if not count:
        return np.zeros(0, np.intp)
    least = np.partition(magnitudes, len(magnitudes) - count)[len(magnitudes) - count]
    above, equal = np.flatnonzero(magnitudes > least), np.flatnonzero(magnitudes == least)
    return np.sort(np.concatenate([above, equal[: count - len(above)]]))


def _packed(integers: npt.NDArray[np.int8], bits: int) -> npt.NDArray[np.uint8]:
    """Return integers packed as `QuantisedWeights.packed`."""
    if bits == 8:
        return integers.view(np.uint8)
    together, size = (4, 3) if bits == 6 else (2, 1)
    padded = np.zeros((-(-len(integers) // together), together), np.uint32)
    padded.reshape(-1)[: len(integers)] = integers.view(np.uint8) & (2**bits - 1)
    words = np.bitwise_or.reduce(padded << (bits * np.arange(together, dtype=np.uint32)), axis=1)
    octets: npt.NDArray[np.uint8] = (
        (words[:, None] >> (8 * np.arange(size, dtype=np.uint32))).astype(np.uint8).reshape(-1)
    )
    return octets[: _bytes(len(integers), bits)]


def _unpacked(packed: npt.NDArray[np.uint8], bits: int, count: int) -> npt.NDArray[np.int8]:
    """Return the first `count` integers of `_packed`."""
    if bits == 8:
        return packed.view(np.int8)
    together, size = (4, 3) if bits == 6 else (2, 1)
    octets = np.zeros((-(-count // together), size), np.uint32)
    octets.reshape(-1)[: len(packed)] = packed
    words = np.bitwise_or.reduce(octets << (8 * np.arange(size, dtype=np.uint32)), axis=1)
    fields = words[:, None] >> (bits * np.arange(together, dtype=np.uint32)) & (2**bits - 1)
    # The sign bit of a field moves to the top of a byte and back.
    integers: npt.NDArray[np.int8] = (fields << (8 - bits)).astype(np.uint8).reshape(-1)[:count].view(np.int8)
    integers >>= np.int8(8 - bits)
    return integers


def _bytes(count: int, bits: int) -> int:
    return -(-count * bits // 8)


def _check(quantised: QuantisedWeights, count: int) -> None:
    """Raise `DamagedDataError` unless sizes, dtypes and positions fit together."""
    shape, positions = quantised.shape, quantised.positions
    if quantised.bits not in BITS:
        raise DamagedDataError(f"bits must be one of {', '.join(map(str, BITS))}, not {quantised.bits!r}")
    rows = int(np.prod(shape[:-1], dtype=np.int64)) if shape and count else 1
    for name, array, dtype, size in (
        ("packed", quantised.packed, np.uint8, _bytes(count, quantised.bits)),
        ("scales", quantised.scales, np.float32, rows),
        ("positions", positions, np.int32, len(positions)),
        ("outliers", quantised.outliers, np.float32, len(positions)),
    ):
        if array.dtype != dtype or array.shape != (size,):
            raise DamagedDataError(f"{name} must be {np.dtype(dtype)} ({size},), not {array.dtype} {array.shape}")
    if len(positions) and (positions[0] < 0 or positions[-1] >= count or (positions[1:] <= positions[:-1]).any()):
        raise DamagedDataError(f"positions must ascend from 0 to {count - 1}")
