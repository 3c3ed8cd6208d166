"""Operator ``embed`` on an OpenVINO device: token sequences to vectors."""

import time

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime.target import one_line
from ninefold.spec.data import Answer
from ninefold.spec.errors import DeviceError
from ninefold.spec.signature import Call

from .batches import BATCH_TOKENS, Batch, batches, infer
from .graph import DIMENSIONS, check_batch, compiled
from .model import find_model

__all__ = ["embed"]


#: Sequence lengths that are compiled for a device that requires fixed shapes; the longest is the model's maximum.
_LENGTHS = (32, 128, 512)


def embed(call: Call, device: str = "CPU", fixed: bool = False) -> Answer:
    """Run the sentence model on sequences, grouped by length to compute little padding.

    Parameters
    ----------
    call : Call
        Call of the operator ``embed``.
    device : str
        OpenVINO's name of the device.
    fixed : bool
        True if the device requires graphs of fixed shapes; batches are then padded to a few shapes.

    Returns
    -------
    Answer
        Its metric ``build_seconds`` is the time of compilation.

    Raises
    ------
    InputError
        For tokens outside the vocabulary, or a sequence that is too long or empty.
    UnavailableError, DamagedDataError
        If the model, or a package that it needs, is missing or damaged.
    DeviceError
        If the device rejects the graph, or fails.
    """
    tokens, mask = np.asarray(call.arguments["tokens"]), np.asarray(call.arguments["mask"])
    model = find_model()
    check_batch(model, tokens, mask)
    vectors = np.empty((len(tokens), DIMENSIONS), np.float32)
    metrics = {"seconds": 0.0, "build_seconds": 0.0}
    for shape, work in _grouped(_work(tokens, mask), fixed).items():
        start = time.perf_counter()
        graph = compiled(model.folder, device=device, shape=shape)
        built = time.perf_counter()
        try:
            for rows, values in infer(graph, work):
                vectors[rows] = values[: len(rows)]
        except RuntimeError as error:
            raise DeviceError(f"openvino:{device} failed: {one_line(error)}") from error
        metrics["seconds"] += time.perf_counter() - built
        metrics["build_seconds"] += built - start
    return Answer({"vectors": vectors}, "openvino float32", metrics)


def _grouped(work: list[Batch], fixed: bool) -> dict[tuple[int, int] | None, list[Batch]]:
    """Return batches by shape, padded to it; all batches under None if the device accepts any shape."""
    if not fixed:
        return {None: work} if work else {}
    groups: dict[tuple[int, int] | None, list[Batch]] = {}
    for batch in work:
        count, longest = batch.tokens.shape
        length = next((size for size in _LENGTHS if size >= longest), longest)
        shape = (max(1, BATCH_TOKENS // length), length)
        for first in range(0, count, shape[0]):
            part = slice(first, min(first + shape[0], count))
            tokens, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
            mask[:, 0] = 1  # the mean of a sequence without tokens is undefined
            tokens[: part.stop - first, :longest] = batch.tokens[part]
            mask[: part.stop - first, :longest] = batch.mask[part]
            groups.setdefault(shape, []).append(Batch(batch.rows[part], tokens, mask))
    return groups


def _work(tokens: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> list[Batch]:
    # Length up to the last unmasked token; the rest is padding.
    lengths = (mask * np.arange(1, mask.shape[1] + 1)).max(axis=1, initial=0)
    work = []
    for rows in batches(lengths):
        kept = slice(lengths[rows[-1]])
        work.append(Batch(rows, np.ascontiguousarray(tokens[rows, kept]), np.ascontiguousarray(mask[rows, kept])))
    return work
