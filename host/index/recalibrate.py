"""Recalibration of an index: a new generation, with the scale and the clusters that fit its entries now."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy.typing as npt

from ninefold.host.scheduler import Scheduler
from ninefold.spec.errors import InputError
from ninefold.spec.formats import MODES, Mode
from ninefold.spec.progress import step

from .generations import Content, calibrated_scale, content_of, with_settings
from .index import Index
from .tables import Generation

__all__ = ["Recalibrated", "recalibrate"]


@dataclass(frozen=True)
class Recalibrated:
    """Result of `recalibrate`.

    Attributes
    ----------
    before, after : Generation
        Generation that was replaced, and the one that took its place.
    rows : int
        Number of entries.
    seconds : float
        Time taken.
    """

    before: Generation
    after: Generation
    rows: int
    seconds: float


def recalibrate(name: str, *, mode: Mode | None = None) -> Recalibrated:
    """Choose the scale and the clusters of an index again, quantise all its entries, and measure the recall.

    Searches continue meanwhile; another writer waits up to five seconds, and then fails. One commit at the end switches
    to the new generation; when interrupted before, the index keeps the old one.

    Parameters
    ----------
    name : str
        Name or path of the index.
    mode : {'tanh', 'linear'}, optional
        Thresholds of the quantiser; by default those that the index has.

    Raises
    ------
    InputError
        The index keeps no float vectors, holds no entries, or is written by another process.
    """
    if mode is not None and mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    start = time.perf_counter()
    with Index.open(name, "w") as index, Scheduler() as scheduler:
        if not index.manifest.vectors:
            raise InputError(f"{index.called} keeps no float vectors, from which nits are made; build it again")
        if not len(index):
            raise InputError(f"{index.called} holds no entries; a new generation is made from them")
        with step(f"quantising {index.called}", len(index)) as written:

            def make(vectors: npt.NDArray[Any], before: Generation) -> Content:
                with step("choosing the scale"):
                    scale = calibrated_scale(scheduler, vectors, mode or before.mode, index.called)
                after = replace(before, mode=mode or before.mode, scale=scale, ninefold=version("ninefold"))
                return content_of(scheduler, vectors, after, True, written)

            before, after = index.writer.recalibrate(
                make, lambda generation, database: with_settings(scheduler, generation, database)
            )
        return Recalibrated(before, after, len(index), time.perf_counter() - start)
