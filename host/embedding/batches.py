"""Batches of sequences of like lengths, and running them on several streams at once."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["BATCH_TOKENS", "Batch", "batches", "infer"]

#: Padded tokens in a batch: larger ones spill activations out of the caches, and lose more when they are interrupted.
BATCH_TOKENS: Final = 1024


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences that go through the graph together.

    Attributes
    ----------
    rows : integer array of shape (n,)
        Whose they are.
    tokens, mask : int64 arrays of shape (n, T)
        What the graph takes.
    """

    rows: npt.NDArray[np.intp]
    tokens: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]


def batches(lengths: npt.NDArray[np.integer[Any]], budget: int = BATCH_TOKENS) -> list[npt.NDArray[np.intp]]:
    """Group sequences of like lengths so that a batch, padded to its longest, stays within a budget of tokens.

    Parameters
    ----------
    lengths : integer array of shape (n,)
        Tokens in each sequence, 1 or more.
    budget : int
        Most padded tokens in a batch; a longer sequence is a batch of its own.

    Returns
    -------
    list of integer arrays
        Positions into `lengths`, each exactly once; the longest of a batch is its last.
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
    """Run batches through a compiled graph; yield the rows and vectors of each, in order, as it is done.

    Parameters
    ----------
    graph : openvino.CompiledModel
        As `compiled` returns it.
    work : iterable of Batch
        Taken one by one, while earlier ones run.
    """
    # One request more than run at once, so that the device has its next batch while Python looks after the last.
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
        # Also when the caller stops early: nothing may still be reading the arrays.
        for request, _ in running:
            request.wait()
