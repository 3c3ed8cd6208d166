"""Similarities of context vectors, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.context import BATCH_WEIGHTS, FADE_S, WEIGHTS, WITHOUT_LINKS
from ninefold.spec.vector6d import EMBEDDING, INTENTS, LINKS

from .resonance import unit_vectors

__all__ = ["Traits", "batch_similarities", "similarities", "traits_of", "unit_embeddings"]

_Array = npt.NDArray[Any]

#: Pairs that are compared at once.
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Traits:
    """Of N records, the numbers that each contributes to its similarities.

    Attributes
    ----------
    vectors : float32 array of shape (N, 768)
        Embedding divided by its length, and softmax of the intents.
    timestamp : uint64 array of shape (N,)
        Times in microseconds.
    horizon, confidence : float32 array of shape (N,)
        Horizon in seconds, and confidence of the model.
    modality : uint8 array of shape (N,)
        Bits.
    causes : uint64 array of shape (N, 4)
        Set of the hashes of causal links: hash h is bit h mod 64 of word h // 64. No bit is set without links.
    """

    vectors: npt.NDArray[np.float32]
    timestamp: npt.NDArray[np.uint64]
    horizon: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    modality: npt.NDArray[np.uint8]
    causes: npt.NDArray[np.uint64]

    def __getitem__(self, rows: slice) -> Traits:
        """Return some of the rows."""
        return Traits(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.timestamp)


def traits_of(columns: Mapping[str, _Array]) -> Traits:
    """Return the traits of records, given as columns."""
    rows = len(columns["timestamp"])
    vectors = np.empty((rows, EMBEDDING + INTENTS), np.float32)
    vectors[:, :EMBEDDING] = unit_embeddings(columns["embedding"])
    logits = columns["intent"].astype(np.float64)
    if rows:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        vectors[:, EMBEDDING:] = powers / powers.sum(axis=1, keepdims=True)
    causes = np.zeros((rows, 4), np.uint64)
    there = np.arange(LINKS) < columns["links"][:, None]
    row, place = np.nonzero(there)
    hashes = columns["link_hash"][row, place].astype(np.uint64)
    np.bitwise_or.at(causes, (row, hashes >> np.uint64(6)), np.uint64(1) << (hashes & np.uint64(63)))
    horizon, confidence = (columns[name].astype(np.float32) for name in ("horizon", "confidence"))
    return Traits(vectors, columns["timestamp"], horizon, confidence, columns["modality"], causes)


def unit_embeddings(embeddings: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Return embeddings (N, 512) divided by their lengths, in double precision, and rounded; zeros stay zeros."""
    found: npt.NDArray[np.float32] = unit_vectors(embeddings.astype(np.float32)).astype(np.float32)
    return found


def similarities(a: Traits, b: Traits) -> npt.NDArray[np.float32]:
    """Return the similarity of each pair, float32 (len(a), len(b)), from 0 to 1."""
    found = np.empty((len(a), len(b)), np.float32)
    weighted = a.vectors.astype(np.float64)
    weighted[:, :EMBEDDING] *= WEIGHTS["embedding"]
    weighted[:, EMBEDDING:] *= WEIGHTS["intent"]
    step = max(1, _BLOCK // max(1, len(a)))
    for first in range(0, len(b), step):
        some = b[first : first + step]
        total = weighted @ some.vectors.T.astype(np.float64)
        later = np.maximum(a.timestamp[:, None], some.timestamp)
        seconds = (later - np.minimum(a.timestamp[:, None], some.timestamp)) * 1e-6
        fade = np.maximum(np.maximum(a.horizon[:, None], some.horizon), np.float32(FADE_S))
        total += WEIGHTS["time"] * np.exp(-seconds / fade)
        total += WEIGHTS["modality"] * _jaccard(a.modality[:, None, None], some.modality[:, None])
        of_a, of_b = (np.bitwise_or.reduce(one.causes, axis=1) != 0 for one in (a, some))
        causes = np.where(of_a[:, None] & of_b, _jaccard(a.causes[:, None], some.causes), WITHOUT_LINKS)
        total += WEIGHTS["links"] * causes
        apart = np.abs(a.confidence[:, None] - some.confidence)
        total += WEIGHTS["confidence"] * (1 - np.minimum(1, apart))
        found[:, first : first + step] = total.clip(0, 1)
    return found


def _jaccard(a: _Array, b: _Array) -> npt.NDArray[np.float64]:
    """Return the bits in both divided by the bits in either, over the words of the last axis; 0 without bits."""
    both = np.bitwise_count(a & b).sum(axis=-1, dtype=np.float64)
    either = np.bitwise_count(a | b).sum(axis=-1, dtype=np.float64)
    shares: npt.NDArray[np.float64] = both / np.maximum(either, 1)
    return shares


def batch_similarities(arguments: Mapping[str, _Array]) -> npt.NDArray[np.float32]:
    """Return the result of ``batch_similarity`` from its arguments."""
    a, b, a_time, b_time = (arguments[name] for name in ("a", "b", "a_time", "b_time"))
    found = np.empty((len(a), len(b)), np.float32)
    wide = a.astype(np.float64)
    step = max(1, _BLOCK // max(1, len(a), a.shape[1]))
    for first in range(0, len(b), step):
        rows = slice(first, first + step)
        near = np.exp(-np.abs(a_time[:, None] - b_time[rows]) / FADE_S)
        found[:, rows] = BATCH_WEIGHTS[0] * (wide @ b[rows].T.astype(np.float64)) + BATCH_WEIGHTS[1] * near
    return found
