"""The operator ``embed`` on an OpenVINO device: token sequences to vectors."""

import time

import numpy as np
import numpy.typing as npt

from ninefold.host.graphs.target import one_line
from ninefold.spec.data import Answer
from ninefold.spec.errors import DeviceError
from ninefold.spec.signature import Call

from .batches import BATCH_TOKENS, Batch, batches, infer
from .graph import DIMENSIONS, check_batch, compiled
from .model import find_model

__all__ = ["embed"]


#: Sequence lengths that are compiled for a device that takes fixed shapes only; the longest is the model's.
_LENGTHS = (32, 128, 512)


def embed(call: Call, device: str = "CPU", fixed: bool = False) -> Answer:
    """Run the sentence model on sequences, grouped by length so that little padding is computed.

    Parameters
    ----------
    call : Call
        Of the operator ``embed``.
    device : str
        As OpenVINO names it.
    fixed : bool
        Whether the device takes graphs of fixed shapes only: batches are padded to few shapes then.

    Returns
    -------
    Answer
        ``build_seconds`` of its metrics is what compiling took.

    Raises
    ------
    InputError
        For tokens that the model does not know, or a sequence that is too long or empty.
    UnavailableError, DamagedDataError
        When the model, or a package that it needs, is not there, or not whole.
    DeviceError
        When the device does not take the graph, or fails.
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
    """Return batches by the shape they need, padded to it; all of them under None where any shape will do."""
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
            mask[:, 0] = 1  # a sequence without a token has no mean
            tokens[: part.stop - first, :longest] = batch.tokens[part]
            mask[: part.stop - first, :longest] = batch.mask[part]
            groups.setdefault(shape, []).append(Batch(batch.rows[part], tokens, mask))
    return groups


def _work(tokens: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> list[Batch]:
    # Up to the last token that counts; what follows is padding.
    lengths = (mask * np.arange(1, mask.shape[1] + 1)).max(axis=1, initial=0)
    work = []
    for rows in batches(lengths):
        kept = slice(lengths[rows[-1]])
        work.append(Batch(rows, np.ascontiguousarray(tokens[rows, kept]), np.ascontiguousarray(mask[rows, kept])))
    return work
