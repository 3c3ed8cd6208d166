"""Batches of sequences of similar lengths, and their inference on several streams at once."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["BATCH_TOKENS", "Batch", "batches", "infer"]

#: Padded tokens per batch. Larger batches spill activations out of the caches, and lose more work when interrupted.
BATCH_TOKENS: Final = 1024


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences that run through the graph together.

    Attributes
    ----------
    rows : integer array of shape (n,)
        Row of each sequence in the caller's arrays.
    tokens, mask : int64 arrays of shape (n, T)
        Inputs of the graph.
    """

    rows: npt.NDArray[np.intp]
    tokens: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]


def batches(lengths: npt.NDArray[np.integer[Any]], budget: int = BATCH_TOKENS) -> list[npt.NDArray[np.intp]]:
    """Group sequences of similar lengths so that each batch, padded to its longest, stays within a budget of tokens.

    Parameters
    ----------
    lengths : integer array of shape (n,)
        Number of tokens in each sequence, 1 or more.
    budget : int
        Maximum of padded tokens in a batch; a longer sequence is a batch of its own.

    Returns
    -------
    list of integer arrays
        Positions in `lengths`, each exactly once; the last one of a batch is the longest.
    """
    order = np.argsort(lengths, kind="stable")
    groups: list[npt.NDArray[np.intp]] = []
    first = 0
    for at in range(1, len(order) + 1):
        if at == len(order) or (at - first + 1) * lengths[order[at]] > budget:
            groups.append(order[first:at])
            first = at
    return groups


def infer(graph: Any, work: Iterable[Batch]) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]:
    """Run batches through a compiled graph; yield the rows and vectors of each batch, in order, as it finishes.

    Parameters
    ----------
    graph : openvino.CompiledModel
        Graph from `compiled`.
    work : iterable of Batch
        Batches, taken one by one while earlier ones run.
    """
    # One request more than can run at once, so that the device has its next batch while Python handles the last result.
    requests = [graph.create_infer_request() for _ in range(graph.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1)]
    running: deque[tuple[Any, Batch]] = deque()
    try:
        for batch in work:
            if len(running) == len(requests):
                request, finished = running.popleft()
                request.wait()
                yield finished.rows, request.get_output_tensor().data.copy()
            else:
                request = requests[len(running)]
            request.start_async([batch.tokens, batch.mask])
            running.append((request, batch))
        while running:
            request, finished = running.popleft()
            request.wait()
            yield finished.rows, request.get_output_tensor().data.copy()
    finally:
        # Also when the caller stops early: no request may still read the arrays.
        for request, _ in running:
            request.wait()
