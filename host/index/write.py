"""Building of an index: read a source, embed, calibrate, quantise, and write the result as one folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ninefold.host import sources
from ninefold.host.cluster import cluster
from ninefold.host.scheduler import Scheduler
from ninefold.host.sources import Entry, Skipped
from ninefold.numerics.nits import pack
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.formats import CALIBRATION, MACRO_CLUSTERS, MICRO_CLUSTERS, MODES, Mode
from ninefold.spec.operators.quantise import LARGEST, SMALLEST
from ninefold.spec.progress import Step, step
from ninefold.spec.terminal import printable

from .atomic import new_folder, recover
from .embedding import embed_source, embedder
from .format import FILES, MANIFEST, NITS, OFFSETS, TEXTS, VECTORS, FileRecord, Manifest, locate, sha256_of
from .settings import measured

__all__ = ["DEFAULT_MODE", "Built", "build", "calibrated_scale"]

DEFAULT_MODE: Mode = "linear"
#: Number of rows from which the scale is chosen. More rows take longer and do not change it.
_SAMPLE = 20_000
#: Number of rows from which an index has clusters: 48 for each list. Below, a scan of all signs is as quick.
_CLUSTERED = 48 * MACRO_CLUSTERS * MICRO_CLUSTERS
#: Number of rows that are quantised and written together.
_BLOCK = 8192


@dataclass(frozen=True)
class Built:
    """Result of `build`.

    Attributes
    ----------
    folder : Path
        Folder of the index.
    manifest : Manifest
        Manifest of the index.
    skipped : Skipped
        Entries that were skipped, with their reasons.
    seconds : mapping of str to float
        Times of reading, embedding, calibrating and writing.
    """

    folder: Path
    manifest: Manifest
    skipped: Skipped
    seconds: dict[str, float]


def build(
    source: str,
    name: str,
    *,
    column: str | None = None,
    mode: Mode = DEFAULT_MODE,
    vectors: bool = True,
    force: bool = False,
    strict: bool = False,
) -> Built:
    """Index a source.

    Finished embeddings are kept in the cache, so the next call continues after an interruption. The index itself
    appears complete or not at all.

    Parameters
    ----------
    source : str
        ``"stdlib"``, a folder or file of text or Markdown, ``.jsonl``, ``.csv``, or ``.npy`` vectors.
    name : str
        Path if it contains a ``/``, otherwise a name in the data folder.
    column : str, optional
        Field or column that holds the text, for JSON lines and CSV.
    mode : {'tanh', 'linear'}
        Thresholds of the quantiser.
    vectors : bool
        Also keep float16 vectors, for reranking and evaluation.
    force : bool
        Replace an existing index.
    strict : bool
        Raise an error for the first entry that would be skipped.

    Returns
    -------
    Built

    Raises
    ------
    InputError
        For a source without entries, invalid values, or a name that is taken.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    target = locate(name)
    recover(target)
    check_target(target, force)
    _check_writable(target)
    skipped, clock = Skipped(strict), _Clock()
    entries: list[Entry] | None = None
    model = ""
    if sources.vectors.claims(source):
        if column is not None:
            raise InputError(f"{printable(source)} holds vectors and has no columns; leave out --column {column!r}")
        rows = _vectors_of(source, vectors)
        clock.lap("read")
    else:
        with step(f"reading {source}"):
            entries = sources.read(source, column, skipped)
        if not entries:
            raise InputError(f"nothing to index in {printable(source)}: {_account(skipped)}")
        clock.lap("read")
        sentences = [entry.sentence for entry in entries]
        with step(f"embedding {source}", len(sentences)) as embedding:
            rows = embed_source(sentences, embedding.at)
            model = embedder().model.digest
        clock.lap("embed")
    with Scheduler() as scheduler:
        with step("choosing the scale"):
            scale = calibrated_scale(scheduler, rows, mode, source)
        clock.lap("calibrate")
        manifest = Manifest(
            len(rows), rows.shape[1], mode, scale, "", source, skipped.count, model, version("ninefold")
        )
        writing = step(f"writing {target}", len(rows))
        # Checked again at the end, since another process may take the name meanwhile.
        with writing as written, new_folder(target, lambda: check_target(target, force)) as folder:
            _write_rows(scheduler, folder, rows, manifest, vectors, written)
            if entries is not None:
                _write_texts(folder, entries)
            if vectors and len(rows) >= _CLUSTERED:
                manifest = replace(manifest, centroid_scale=_write_clusters(folder, mode))
            manifest = _finished(folder, manifest)
            if vectors:
                manifest = replace(manifest, settings=measured(scheduler, _database(folder, manifest)))
            manifest.write(folder)
    clock.lap("write")
    return Built(target, manifest, skipped, clock.laps)


def check_target(target: Path, force: bool) -> None:
    """Raise `InputError` unless an index may be written there."""
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST).is_file()):
        raise InputError(f"{target} exists and is not an index, so it is not replaced")
    if any(target.iterdir()) and not force:
        raise InputError(f"there is an index {target}; --force replaces it")
    if foreign := sorted({path.name for path in target.iterdir()} - FILES):
        raise InputError(f"{target} holds {foreign[0]}, which is not a file of an index, so it is not replaced")


def _check_writable(target: Path) -> None:
    """Raise `InputError` before any embedding if `target` cannot be created."""
    folder = Path(os.path.realpath(target)).parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"cannot create {target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot create {target}: the folder {folder} is read-only for this user")


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
    if len(rows) > _SAMPLE:
        chosen = np.random.default_rng(CALIBRATION.seed).choice(len(rows), _SAMPLE, replace=False)
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
        of = f"of {_SAMPLE:,} sampled rows " if len(sample) == _SAMPLE else ""
        raise InputError(f"{name} does not vary: all numbers {of}are equal, so their standard deviation is 0")
    if not low <= sigma <= high:
        size = "small" if sigma < low else "large"
        raise InputError(
            f"the numbers of {name} are too {size}: their standard deviation is {sigma:.3g}, and must be {low:.3g} to "
            f"{high:.3g}; multiply all rows by a constant"
        )
    return sigma


def _vectors_of(source: str, keep: bool) -> npt.NDArray[Any]:
    rows = sources.vectors.load(source)
    if rows.ndim == 1 or len(rows) == 0:
        what = "it has no rows" if rows.ndim == 2 else "it is a single vector"
        raise InputError(f"{printable(source)} must have shape (N, D) with N of at least 1, not {rows.shape}: {what}")
    for block in _blocks(len(rows)):
        values = sources.vectors.check_rows(rows[block], source, block.start)
        if keep:
            sources.vectors.check_kept(values, source, block.start)
    return rows


def _write_rows(
    scheduler: Scheduler, folder: Path, rows: npt.NDArray[Any], manifest: Manifest, keep: bool, writing: Step
) -> None:
    total, dimensions = rows.shape
    options: dict[str, Any] = {"scale": manifest.scale, "mode": manifest.mode}
    # Not memory-mapped, so that a full disk is an error of `write`, not a signal.
    with (folder / NITS).open("wb") as nits, (folder / VECTORS).open("wb") as floats:
        _npy_header(nits, np.uint8, (total, (dimensions + 1) // 2))
        _npy_header(floats, np.float16, (total, dimensions))
        for block in _blocks(total):
            values = np.ascontiguousarray(rows[block], np.float32)
            quantised = scheduler.run("quantise", values, device="cpu", strict=True, **options)
            nits.write(pack(quantised.values["nits"]).tobytes())
            if keep:
                floats.write(values.astype(np.float16).tobytes())
            writing.at(block.stop, total)
    if not keep:
        (folder / VECTORS).unlink()


def _write_clusters(folder: Path, mode: Mode) -> float:
    """Cluster the float vectors, write the clusters, and return the scale of the centroids."""
    with step("clustering"):
        found = cluster(np.load(folder / VECTORS, mmap_mode="r"), mode=mode)
    for name, array in found.arrays.items():
        np.save(folder / f"{name}.npy", array)
    return found.scale


def _write_texts(folder: Path, entries: Sequence[Entry]) -> None:
    offsets = np.zeros(len(entries) + 1, np.int64)
    with (folder / TEXTS).open("wb") as file:
        for row, entry in enumerate(entries):
            record: dict[str, Any] = {"id": entry.id, "title": entry.title, "text": entry.text}
            record |= {"fields": entry.fields} if entry.fields else {}
            file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            offsets[row + 1] = file.tell()
    with (folder / OFFSETS).open("wb") as file:
        _npy_header(file, np.int64, offsets.shape)
        file.write(offsets.tobytes())


def _finished(folder: Path, manifest: Manifest) -> Manifest:
    database = _database(folder, manifest)
    files = {path.name: FileRecord(path.stat().st_size, sha256_of(path)) for path in sorted(folder.iterdir())}
    return replace(manifest, digest=database.digest, files=files)


def _database(folder: Path, manifest: Manifest) -> Database:
    arrays = {name.removesuffix(".npy"): folder / name for name in manifest.arrays}
    mapped = {name: np.load(path, mmap_mode="r") for name, path in arrays.items() if path.exists()}
    return Database(mapped, manifest.attributes, manifest.digest)


def _npy_header(file: BinaryIO, dtype: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _blocks(total: int) -> Iterator[slice]:
    for first in range(0, total, _BLOCK):
        yield slice(first, min(first + _BLOCK, total))


def _account(skipped: Skipped) -> str:
    if not skipped.count:
        return "it holds no entries"
    all_of_them = "the only one was" if skipped.count == 1 else f"all {skipped.count} were"
    return f"{all_of_them} skipped ({'; '.join([*skipped.named, *skipped.further])})"


class _Clock:
    """Time since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
