"""Caches of embeddings in folders of their own, and what tests put into them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from ninefold.host.embedding import EmbeddingCache

__all__ = ["cache_in", "rows"]


def cache_in(folder: Path, limit: int | None = None) -> EmbeddingCache:
    """Open a cache in a folder, while all else stays in the cache that tests share."""
    with patch.dict(os.environ, NINEFOLD_CACHE=str(folder)):
        return EmbeddingCache(limit)


def rows(start: int, count: int) -> tuple[list[bytes], Any]:
    """Return keys and vectors that depend only on their numbers."""
    keys = [hashlib.sha512(str(number).encode()).digest() for number in range(start, start + count)]
    return keys, np.stack([np.random.default_rng(start + n).normal(size=384) for n in range(count)]).astype(np.float32)
