"""Indexes with chosen content, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ninefold.host.index import Generation, Index, Manifest, generations, recalibrate
from ninefold.host.index.segments import Stream
from ninefold.host.index.write import create
from ninefold.host.index.writer import Writer
from ninefold.host.sources import Entry
from ninefold.numerics.nits import pack
from ninefold.sim.golden.quantise import quantise

__all__ = ["DIMENSIONS", "clustered", "entries_of", "made", "vectors_of"]

DIMENSIONS = 6


def entries_of(rows: int, first: int = 0) -> list[Entry]:
    """Return entries with ids in order."""
    return [Entry(f"id {n}", "a title" if n % 2 else "", f"text {n}") for n in range(first, first + rows)]


def vectors_of(rows: int, seed: int = 0) -> np.ndarray:
    """Return float16 vectors of `DIMENSIONS`, drawn from a normal distribution."""
    return np.random.default_rng(seed).normal(0, 1, (rows, DIMENSIONS)).astype(np.float16)


def made(
    folder: Path,
    vectors: np.ndarray,
    *,
    scale: float = 2.0,
    keep: bool = True,
    entries: list[Entry] | None = None,
    model: str = "",
    fields: Mapping[str, str] | None = None,
) -> Index:
    """Write an index of one segment with these vectors, and open it for reading."""
    folder.mkdir(parents=True)
    manifest = Manifest(vectors.shape[1], model, keep, dict(fields or {}))
    manifest.write(folder)
    generation = Generation(1, "linear", scale)
    kept = vectors.astype(np.float16)
    columns = {"nits": Stream.of(pack(quantise(kept.astype(np.float32), scale, "linear")))}
    if keep:
        columns["vectors"] = Stream.of(kept)
    with closing(create(folder, manifest)) as store:
        writer = Writer(store)
        writer.replace(generation, entries or entries_of(len(vectors)), columns, None, lambda _: generation)
        writer.close()
    return Index.open(str(folder))


def clustered(folder: Path, vectors: np.ndarray) -> None:
    """Write an index that has clusters although it is small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CPU_PATH", "numpy")
        patch.setattr(generations, "CLUSTERED_ROWS", len(vectors))
        made(folder, vectors, scale=4.0).close()
        recalibrate.recalibrate(str(folder))
