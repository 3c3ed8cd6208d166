"""Sentence models with quantised weights: files, quality, and the smallest model that passes quality gates."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.host.gates import GateReport, pass_gates
from ninefold.numerics.weights import dequantise_weights, quantise_weights
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

from .embedder import Embedder
from .model import Model
from .weights import read_weights, write_weights

__all__ = ["QUALITIES", "ModelQuality", "SmallestModel", "quantise_model", "smallest_model"]

#: Nearest texts that are compared, texts that are searched for, and the seed that chooses them.
K: Final = 10
QUERIES: Final = 500
SEED: Final = 9


@dataclass(frozen=True)
class ModelQuality:
    """A quantised model beside the original one.

    Attributes
    ----------
    bits : int
        Bits of a weight.
    nbytes : int
        Size of the file of weights in bytes.
    error : float
        Root of the mean squared error of all quantised weights, divided by the root of their mean square.
    largest_error : float
        Largest error of a weight, divided by the bound of its row; at most 1.
    recall : float
        Mean share of the 10 nearest texts by the original's embeddings that are also the 10 nearest by its own.
    cosine, least_cosine : float
        Mean and smallest cosine of its embedding of a text with the original's.
    """

    bits: int
    nbytes: int
    error: float
    largest_error: float
    recall: float
    cosine: float
    least_cosine: float


#: Qualities by which gates decide. The baseline, the original model beside itself, has 1 in each.
QUALITIES: Final[Mapping[str, Callable[[ModelQuality], float]]] = {
    "recall": lambda found: found.recall,
    "cosine": lambda found: found.cosine,
}


@dataclass(frozen=True)
class SmallestModel:
    """Result of `smallest_model`.

    Attributes
    ----------
    report : GateReport
        Trials of the gates.
    qualities : tuple of ModelQuality
        The model of each trial.
    original_bytes : int
        Size of the original's file of weights in bytes.
    folder : Path or None
        Folder of the smallest model that passed; None if none did.
    """

    report: GateReport
    qualities: tuple[ModelQuality, ...]
    original_bytes: int
    folder: Path | None


def quantise_model(model: Model, bits: int, folder: Path) -> tuple[float, float]:
    """Write a model whose matrices are quantised; vectors, such as biases, stay float32.

    Parameters
    ----------
    model : Model
        Model to quantise.
    bits : int
        8, 6 or 4.
    folder : Path
        New folder of the model.

    Returns
    -------
    error, largest_error : float
        As in `ModelQuality`.

    Raises
    ------
    InputError
        The folder exists.
    DamagedDataError
        The model's weights are unreadable.
    """
    if folder.exists():
        raise InputError(f"{folder} exists; name a new folder")
    weights = read_weights(model.weights)
    matrices = {name for name, array in weights.items() if array.ndim >= 2 and array.dtype == np.float32}
    quantised = {name: quantise_weights(weights[name], bits) for name in sorted(matrices)}
    squares = errors = largest = 0.0
    for name, one in quantised.items():
        error = np.abs(dequantise_weights(one).astype(np.float64) - weights[name]).reshape(len(one.bound), -1)
        largest = max(largest, float((error / one.bound[:, None]).max(initial=0)))
        errors += float(np.square(error).sum())
        squares += float(np.square(weights[name], dtype=np.float64).sum())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".quantise-", dir=folder.parent) as work:
        made = Model(Path(work) / "model")
        made.folder.mkdir()
        for path in sorted(model.folder.iterdir()):
            if path.is_file() and path != model.weights:
                shutil.copyfile(path, made.folder / path.name)
        write_weights(made.weights, {n: a for n, a in weights.items() if n not in matrices}, quantised)
        made.folder.rename(folder)
    return float(np.sqrt(errors / squares)) if squares else 0.0, largest


def smallest_model(
    model: Model, texts: Sequence[str], folder: Path, gate: str = "recall", threads: int | None = None
) -> SmallestModel:
    """Write the model with the fewest bits that passes the gates of 8, 6 and 4 bits.

    Parameters
    ----------
    model : Model
        Model to quantise.
    texts : sequence of str
        Different texts that models embed, more than 10.
    folder : Path
        New folder of the model.
    gate : str
        One of `QUALITIES`.
    threads : int, optional
        As in `Embedder`.

    Raises
    ------
    InputError
        The folder exists, there are too few texts, or the gate is unknown.
    """
    if gate not in QUALITIES:
        raise InputError(f"gate must be one of {', '.join(QUALITIES)}, not {gate!r}")
    texts = list(dict.fromkeys(texts))
    if len(texts) <= K:
        raise InputError(f"the gates need more than {K} different texts, not {len(texts)}")
    if folder.exists():
        raise InputError(f"{folder} exists; name a new folder")
    with step("embedding with the original model"):
        original = Embedder(model, threads).embed(texts)
    queries = np.random.default_rng(SEED).permutation(len(texts))[:QUERIES]
    nearest = _nearest(original, queries)
    qualities: list[ModelQuality] = []
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gates-", dir=folder.parent) as work:

        def quality(bits: int) -> float:
            made = Model(Path(work) / str(bits))
            with step(f"quantising to {bits} bits"):
                error, largest = quantise_model(model, bits, made.folder)
            with step(f"embedding with {bits} bits"):
                vectors = Embedder(made, threads).embed(texts)
            cosines = np.einsum("nd,nd->n", vectors, original, dtype=np.float64)
            own = _nearest(vectors, queries)
            shared = [len(np.intersect1d(a, b)) / K for a, b in zip(own, nearest, strict=True)]
            size = made.weights.stat().st_size
            means = float(np.mean(shared)), float(cosines.mean()), float(cosines.min())
            qualities.append(ModelQuality(bits, size, error, largest, *means))
            return QUALITIES[gate](qualities[-1])

        report = pass_gates(quality, 1.0)
        if report.bits is not None:
            (Path(work) / str(report.bits)).rename(folder)
    written = folder if report.bits is not None else None
    return SmallestModel(report, tuple(qualities), model.weights.stat().st_size, written)


def _nearest(vectors: npt.NDArray[np.float32], queries: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the rows (Q, 10) nearest to some rows, which are left out themselves."""
    scores = vectors[queries] @ vectors.T
    scores[np.arange(len(queries)), queries] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]
