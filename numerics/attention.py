"""Attention between complex vectors, in NumPy, and its parts that all backends need."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators.wave_attention import EPSILON, HEADS_HZ
from ninefold.spec.signature import Call

__all__ = ["attend", "bias", "rotations"]

_Array = npt.NDArray[Any]
#: Pairs of a query and a position whose weights are computed at once.
_BLOCK = 1 << 19


def rotations(times: _Array | None, count: int) -> npt.NDArray[np.complex64]:
    """Return exp(2 pi i f t) of each head and time, complex64 of shape (heads, count); one head without times."""
    if times is None:
        return np.ones((1, count), np.complex64)
    turns = np.outer(HEADS_HZ, times)
    turns -= np.rint(turns)
    rotated: npt.NDArray[np.complex64] = np.exp(2j * pi * turns).astype(np.complex64)
    return rotated


def bias(call: Call) -> npt.NDArray[np.float32]:
    """Return 0.1 (9 - trace), float32 of shape (N,)."""
    return (0.1 * (9 - np.asarray(call.arguments["trace"]).astype(np.float64))).astype(np.float32)


def attend(call: Call) -> npt.NDArray[np.complex64]:
    """Return the weighted sums of values of a checked call, complex64 of shape (Q, E)."""
    q, k, v = (np.asarray(call.arguments[name]) for name in ("q", "k", "v"))
    attended = np.empty((len(q), v.shape[1]), np.complex64)
    # The squares of float32 numbers neither overflow nor vanish in double precision.
    keys = k.astype(np.complex128).conj().T
    squares, added = _squares(k), bias(call)
    of_queries, of_keys = (rotations(call.arguments[name], len(x)) for name, x in (("tq", q), ("tk", k)))
    rows = max(1, _BLOCK // len(k))
    for first in range(0, len(q), rows):
        part = slice(first, first + rows)
        # |q + k|^2 - |q|^2 - |k|^2 is twice the real part of the inner product, which a head turns.
        products = q[part].astype(np.complex128) @ keys
        products *= 2 / (_squares(q[part])[:, None] + squares + EPSILON)
        whole = products.astype(np.complex64)
        weights = np.zeros(whole.shape, np.float32)
        for of_query, of_key in zip(of_queries[:, part], of_keys, strict=True):
            score = (whole * of_key.conj() * of_query[:, None]).real + added
            share = np.exp(score, out=score)
            share /= share.sum(axis=1, keepdims=True)
            weights += share
        attended[part] = weights @ v / np.float32(len(of_keys))
    return attended


def _squares(x: _Array) -> npt.NDArray[np.float64]:
    """Return the squared lengths of vectors."""
    wide = x.astype(np.complex128)
    squares: npt.NDArray[np.float64] = (wide.real**2 + wide.imag**2).sum(axis=1)
    return squares
