"""Interface of the engines that search packed nits, and the engine in NumPy."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import Ranked, Selection, empty

__all__ = ["Engine", "NumpyEngine", "blocks"]

#: Queries scored together, and bytes of float32 nits unpacked together, which stay in the processor's cache.
_QUERIES, _BLOCK_BYTES = 256, 4 << 20


class Engine(Protocol):
    """One path: an exact search of packed nits."""

    #: Name of the path in results.
    path: str

    def mine(self, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Ranked:
        """Return the k rows of `packed` (N, ceil(D/2)) with the largest dot products with each of `nits` (Q, D).

        Largest first, of equal scores the lower row first. Control returns to Python often enough for interrupts.
        """
        ...


def blocks(total: int, step: int) -> list[slice]:
    """Return slices of at most `step` that cover `total`."""
    return [slice(i, min(i + step, total)) for i in range(0, total, step)]


class NumpyEngine:
    """Engine in NumPy: blocks of nits are widened to float32, which holds their dot products exactly."""

    path = "numpy"

    def mine(self, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Ranked:
        """See `Engine.mine`."""
        ids, scores = empty(len(nits), k, np.int32)
        for part in blocks(len(nits), _QUERIES):
            selection = self._select(nits[part], packed, k)
            ids[part], scores[part] = selection.ids, selection.scores
        return ids, scores

    @staticmethod
    def _select(nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Selection:
        rows, width = packed.shape
        # Even elements are in the low nibbles and odd ones in the high nibbles. With its top bit flipped a nibble reads
        # as nit + 8, so 8 times the sum of the query is subtracted. All sums stay below 2**24.
        even = np.zeros((len(nits), width), np.float32)
        odd = np.zeros((len(nits), width), np.float32)
        even[:] = nits[:, 0::2]
        odd[:, : nits.shape[1] // 2] = nits[:, 1::2]
        offset = 8 * nits.sum(axis=1, dtype=np.int32)[:, None].astype(np.float32)
        selection = Selection(len(nits), k, np.int32)
        step = max(1, _BLOCK_BYTES // (4 * width))
        wide: npt.NDArray[np.float32] = np.empty((min(step, rows), width), np.float32)
        for part in blocks(rows, step):
            block: npt.NDArray[Any] = packed[part] ^ np.uint8(0x88)
            values = wide[: len(block)]
            values[:] = block & np.uint8(15)
            total = even @ values.T
            values[:] = block >> np.uint8(4)
            total += odd @ values.T
            total -= offset
            selection.offer(total, part.start)
        return selection
