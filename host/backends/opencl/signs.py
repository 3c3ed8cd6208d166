"""Scan of signs on the device: all coarse scores, or the best rows, found below limits that a sample gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.stages import selected

from .kernels import shares
from .layout import SIGN_ROWS, sign_queries
from .memory import Out, RowBuffer

if TYPE_CHECKING:
    from .device import OpenClDevice

__all__ = ["best_rows", "coarse_scores"]

#: Queries weighed together, if there are as many; in one launch; and bytes of weights on the device at a time.
_TOGETHER, _QUERIES, _BYTES = 4, 256, 1 << 26
#: Every how many blocks of rows one is in the sample, and least number of sampled rows for a limit.
_STRIDE, _SAMPLED = 32, 64


def coarse_scores(
    device: OpenClDevice, parts: list[RowBuffer], nits: npt.NDArray[np.int8], rows: int
) -> npt.NDArray[np.int32]:
    """Return the coarse scores of all rows, int32 (Q, `rows`), for queries of nits (Q, D)."""
    scores = np.empty((len(nits), rows), np.int32)
    whole = _magnitudes(nits)
    for part in parts if len(nits) else ():
        step = max(1, _BYTES // max(1, 2 * part.count))
        for start in range(0, len(nits), step):
            block = slice(start, start + step)
            found = _weights(device, part, nits[block], 1)[:, : part.count]
            scores[block, part.first : part.first + part.count] = whole[block, None] - 2 * found.astype(np.int32)
    return scores


def best_rows(
    device: OpenClDevice, parts: list[RowBuffer], nits: npt.NDArray[np.int8], rows: int, keep: int
) -> dict[str, npt.NDArray[Any]]:
    """Return ids, scores and count of the `keep` rows with the best coarse scores, as ``candidates`` does.

    Only rows near the best ones leave the device: those within a limit that more than `keep` rows should reach, judged
    by a thirty-second of the rows. Where fewer reach it, or too many for the device's list, all scores are read.
    """
    mean = keep / _STRIDE
    rank = int(mean + 4 * math.sqrt(mean) + 4)  # four standard deviations above the mean
    if rows < _STRIDE * max(_SAMPLED, 2 * rank):
        return selected(coarse_scores(device, parts, nits, rows), keep, None)
    ids, scores = np.empty((len(nits), keep), np.int64), np.empty((len(nits), keep), np.int32)
    for start in range(0, len(nits), _QUERIES):
        some = nits[start : start + _QUERIES]
        sample = np.concatenate([_sampled(device, part, some) for part in parts], axis=1)
        limits = np.partition(sample, rank - 1, axis=1)[:, rank - 1].astype(np.uint32)
        keys, enough = _least(*_below(device, parts, some, limits, _STRIDE * rank), keep)
        part = slice(start, start + len(some))
        ids[part] = keys & np.uint64(0xFFFFFFFF)
        scores[part] = _magnitudes(some)[:, None] - 2 * (keys >> np.uint64(32)).astype(np.int32)
        for query in (start + np.flatnonzero(~enough)).tolist():
            values = selected(coarse_scores(device, parts, nits[query : query + 1], rows), keep, None)
            ids[query], scores[query] = values["ids"][0], values["scores"][0]
    return {"ids": ids, "scores": scores, "count": np.full(len(nits), keep, np.int64)}


def _least(
    found: npt.NDArray[np.uint64], numbers: npt.NDArray[np.int64], keep: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Return the `keep` least keys of each query, (Q, keep), ascending, and whether its lists hold as many, (Q,).

    Parameters
    ----------
    found : uint64 array of shape (Q, shares, capacity)
        Lists of keys.
    numbers : int64 array of shape (Q, shares)
        Number of keys that belong in each list; if they exceed the capacity, some are missing.
    keep : int
        Number of keys to return.
    """
    capacity, totals = found.shape[2], numbers.sum(axis=1)
    enough = (totals >= keep) & (numbers <= capacity).all(axis=1)
    filled = np.arange(capacity) < numbers[:, :, None]
    totals = filled.sum(axis=(1, 2))
    keys = np.full((len(found), max(keep, totals.max(initial=0))), np.iinfo(np.uint64).max)
    keys[np.arange(keys.shape[1]) < totals[:, None]] = found[filled]
    keys.sort(axis=1)
    return keys[:, :keep], enough


def _magnitudes(nits: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    found: npt.NDArray[np.int32] = np.abs(nits).sum(axis=1, dtype=np.int32)
    return found


def _weights(device: OpenClDevice, part: RowBuffer, nits: npt.NDArray[np.int8], stride: int) -> npt.NDArray[np.uint16]:
    """Return the weights of every `stride`-th block, (Q, rows of these blocks), those behind the last row included."""
    together, single = _launched(device, nits)
    queries = sign_queries(nits, together, part.columns)
    blocks = -(-part.count // SIGN_ROWS)
    size, count = shares(-(-blocks // stride), device.kernels().wanted, 1)
    out = np.empty((len(queries) * together, -(-blocks // stride) * SIGN_ROWS), np.uint16)
    kernel = device.launcher.kernel(("signs.cl",), "weights", QUERIES=together, **single)
    rows = part.buffer, np.int32(part.columns), np.uint32(blocks), np.uint32(stride), np.uint32(size)
    written = queries, np.int32(len(queries)), Out(out), np.uint64(out.shape[1])
    device.launcher.launch(kernel, (count,), (1,) if single else None, *rows, *written)
    return out[: len(nits)]


def _sampled(device: OpenClDevice, part: RowBuffer, nits: npt.NDArray[np.int8]) -> npt.NDArray[np.uint16]:
    """Return the weights of a sample of a part's rows."""
    found = _weights(device, part, nits, _STRIDE)
    # Rows behind the last one are in the last block, if that is in the sample.
    last = -(-part.count // SIGN_ROWS) - 1
    return found[:, : found.shape[1] - (-part.count % SIGN_ROWS if last % _STRIDE == 0 else 0)]


def _below(
    device: OpenClDevice,
    parts: list[RowBuffer],
    nits: npt.NDArray[np.int8],
    limits: npt.NDArray[np.uint32],
    capacity: int,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the rows within the limits, (Q, shares, capacity), and their numbers, (Q, shares)."""
    together, single = _launched(device, nits)
    found, counts = [], []
    for part in parts:
        queries = sign_queries(nits, together, part.columns)
        padded = np.zeros(len(queries) * together, np.uint32)
        padded[: len(nits)] = limits
        size, count = shares(-(-part.count // SIGN_ROWS), device.kernels().wanted, 1)
        lists = np.empty((count, len(padded), capacity), np.uint64)
        numbers = np.empty((count, len(padded)), np.uint32)
        kernel = device.launcher.kernel(("signs.cl",), "below", QUERIES=together, **single)
        rows = part.buffer, np.int32(part.columns), np.uint32(part.count), np.uint32(part.first), np.uint32(size)
        limited = queries, np.int32(len(queries)), padded, np.uint32(capacity)
        device.launcher.launch(kernel, (count,), (1,) if single else None, *rows, *limited, Out(lists), Out(numbers))
        found.append(lists[:, : len(nits)])
        counts.append(numbers[:, : len(nits)])
    return np.concatenate(found).swapaxes(0, 1), np.concatenate(counts).T.astype(np.int64)


def _launched(device: OpenClDevice, nits: npt.NDArray[np.int8]) -> tuple[int, dict[str, int]]:
    """Return the queries weighed together, and the define of a device that runs one work-item per work-group."""
    return _TOGETHER if len(nits) >= _TOGETHER else 1, {"SINGLE": 1} if device.kernels().single else {}
