"""Content of a generation: the scale that fits its vectors, their nits, and their clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.clustering import cluster
from ninefold.host.scheduler import Scheduler
from ninefold.numerics.nits import pack
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.formats import CALIBRATION, MACRO_CLUSTERS, MICRO_CLUSTERS, Mode
from ninefold.spec.operators.quantise import LARGEST, SMALLEST
from ninefold.spec.progress import Step, step
from ninefold.spec.terminal import printable

from .merging import Centroids
from .segments import Stream
from .settings import measured
from .tables import Generation

__all__ = ["BLOCK_ROWS", "CLUSTERED_ROWS", "SAMPLE_ROWS", "Content", "calibrated_scale", "content_of", "with_settings"]

#: Number of rows from which the scale is chosen. More rows take longer and do not change it.
SAMPLE_ROWS: Final = 20_000
#: Number of rows from which an index has clusters: 48 for each list. Below, a scan of all signs is as quick.
CLUSTERED_ROWS: Final = 48 * MACRO_CLUSTERS * MICRO_CLUSTERS
#: Number of rows that are quantised and written together.
BLOCK_ROWS: Final = 8192


@dataclass(frozen=True)
class Content:
    """Content of one segment that holds all rows of a generation.

    Attributes
    ----------
    generation : Generation
    columns : mapping of str to Stream
        Arrays of the segment that follow from the vectors.
    centroids : tuple of uint8 array or None
        Packed nits of the centroids, if there are clusters.
    """

    generation: Generation
    columns: dict[str, Stream]
    centroids: Centroids | None


def content_of(
    scheduler: Scheduler, rows: npt.NDArray[Any], generation: Generation, keep: bool, written: Step
) -> Content:
    """Return the content of a segment with these rows; if they are many, it has clusters.

    Parameters
    ----------
    scheduler : Scheduler
        Scheduler that quantises, on the CPU.
    rows : float array of shape (N, D)
        float16 if they are kept.
    generation : Generation
        Scale and mode.
    keep : bool
        Keep the vectors, and cluster them if they are many.
    written : Step
        Counts the rows as they are written.
    """
    columns = {"nits": _nits(scheduler, rows, generation, written)}
    if not keep:
        return Content(generation, columns, None)
    columns["vectors"] = Stream.of(rows)
    if len(rows) < CLUSTERED_ROWS:
        return Content(replace(generation, centroid_scale=None), columns, None)
    with step("clustering"):
        found = cluster(rows, mode=generation.mode)
    columns |= {name: Stream.of(array) for name, array in found.arrays.items()}
    return Content(replace(generation, centroid_scale=found.scale), columns, (found.macro, found.micro))


def with_settings(scheduler: Scheduler, generation: Generation, database: Database) -> Generation:
    """Return a generation with the recall that each setting of a search reaches on its database."""
    return replace(generation, settings=measured(scheduler, database) if "vectors" in database.arrays else ())


def _nits(scheduler: Scheduler, rows: npt.NDArray[Any], generation: Generation, written: Step) -> Stream:
    """Return the nits of rows, which the CPU makes while they are written."""
    options: dict[str, Any] = {"scale": generation.scale, "mode": generation.mode}

    def blocks() -> Iterator[npt.NDArray[Any]]:
        for first in range(0, len(rows), BLOCK_ROWS):
            values = np.ascontiguousarray(rows[first : first + BLOCK_ROWS], np.float32)
            quantised = scheduler.run("quantise", values, device="cpu", strict=True, **options)
            yield pack(quantised.values["nits"])
            written.at(first + len(values), len(rows))

    return Stream("uint8", (len(rows), (rows.shape[1] + 1) // 2), blocks())


def calibrated_scale(scheduler: Scheduler, rows: npt.NDArray[Any], mode: Mode, source: str) -> float:
    """Return the scale for `quantise`, from a seeded sample of the rows.

    Parameters
    ----------
    scheduler : Scheduler
        Scheduler that runs `calibrate`, on the CPU.
    rows : float array of shape (N, D)
    mode : {'tanh', 'linear'}
    source : str
        Name for errors.

    Raises
    ------
    InputError
        If all numbers of the sample are equal, or no scale that is a normal float32 number fits them.
    """
    sample = np.asarray(rows)
    if len(rows) > SAMPLE_ROWS:
        chosen = np.random.default_rng(CALIBRATION.seed).choice(len(rows), SAMPLE_ROWS, replace=False)
        sample = np.asarray(rows[np.sort(chosen)])
    sample = np.ascontiguousarray(sample, np.float32)
    multiples = CALIBRATION.multiples[mode]
    sigma = _spread(sample, source, multiples[-1] / LARGEST, multiples[0] / SMALLEST)
    if len(rows) == 1:
        # A single row is found at any scale at which it is not all zeros.
        return multiples[0] / sigma
    return float(scheduler.run("calibrate", sample, mode=mode, device="cpu", strict=True).values["scale"])


def _spread(sample: npt.NDArray[np.float32], source: str, low: float, high: float) -> float:
    """Return the standard deviation of a sample's numbers; raise `InputError` outside `low` to `high`."""
    sigma, name = float(np.std(sample.astype(np.float64))), printable(source)
    if sample.min() == sample.max():
        if len(sample) == 1:
            raise InputError(f"{name} has one row, and all its numbers are equal")
        of = f"of {SAMPLE_ROWS:,} sampled rows " if len(sample) == SAMPLE_ROWS else ""
        raise InputError(f"{name} does not vary: all numbers {of}are equal, so their standard deviation is 0")
    if not low <= sigma <= high:
        size = "small" if sigma < low else "large"
        raise InputError(
            f"the numbers of {name} are too {size}: their standard deviation is {sigma:.3g}, and must be {low:.3g} to "
            f"{high:.3g}; multiply all rows by a constant"
        )
    return sigma
