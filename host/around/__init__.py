"""What the host does around a device, for operators that leave it something: one module each, found by scanning.

A module is named after its operator and defines ``run(call, on_device) -> Answer``. It may change the call before the
device sees it and the answer afterwards, or answer alone when there is nothing to compute.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.signature import Call

__all__ = ["Around", "empty_lists"]

#: ``run(call, on_device)``; ``on_device(call)`` opens the device and runs a call on it.
Around = Callable[[Call, Callable[[Call], Answer]], Answer]


def empty_lists(queries: int, k: int, dtype: Any) -> Answer:
    """Return ids, scores and count of searches that found nothing.

    Parameters
    ----------
    queries, k : int
        Shape of the lists.
    dtype : dtype
        Of the scores; empty slots hold INT32_MIN, or minus infinity in floats.
    """
    nothing = -np.inf if np.dtype(dtype).kind == "f" else INT32_MIN
    ids = np.full((queries, k), NO_ID, np.int64)
    scores = np.full((queries, k), nothing, dtype)
    return Answer({"ids": ids, "scores": scores, "count": np.zeros(queries, np.int64)}, path="host")
