"""Dot products of nits by OpenVINO, exact, with the packed nits themselves as the graph's weights."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import Ranked, Selection, empty

from .target import Target

__all__ = ["BLOCK", "Product", "all_scores", "search"]

#: Nits in one graph.
BLOCK: Final = 1 << 22
#: Queries scored together. OpenVINO keeps memory for each graph's largest batch: 256 bytes per row with 64
#: queries, which is a fifth slower than 256 queries. With 32 queries it is another fifth slower.
_QUERIES = 64


class Product:
    """Graph that scores queries against a block of rows.

    OpenVINO's type i4 has the layout of packed nits: two per byte, the first in the low nibble, two's complement. The
    rows therefore enter the graph unchanged and take half a byte per nit. All sums are below 2**24, hence exact in
    float32.

    Parameters
    ----------
    target : Target
        Device that runs the graph.
    packed : uint8 array of shape (B, ceil(D / 2))
        Packed nits; the caller may discard them afterwards.

    Raises
    ------
    DeviceError
        The device does not accept the graph.
    """

    def __init__(self, target: Target, packed: npt.NDArray[np.uint8]) -> None:
        op = target.op
        self.rows, self.width = len(packed), 2 * int(packed.shape[1])
        lying = np.ascontiguousarray(packed)
        tensor = target.openvino.Tensor(lying, [self.rows, self.width], target.openvino.Type.i4)
        # Copied: a device reads the constant until its first inference, when the caller's array may no longer exist.
        nits = op.constant(tensor, shared_memory=False)
        # With a scale for each row the device keeps the weights packed instead of widening them.
        scales = op.constant(np.ones((self.rows, 1), np.float32))
        query = op.parameter([target.rows, self.width], np.float32)
        scores = op.matmul(query, op.multiply(op.convert(nits, "f32"), scales), False, True)
        self._graph = target.compile([query], [scores.output(0)])

    @property
    def nbytes(self) -> int:
        """Bytes of the rows on the device."""
        return self.rows * self.width // 2

    def scores(self, queries: npt.NDArray[np.float32], out: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return scores (Q, B) of nits (Q, `width`), both integers as float32, in `out` if it is given."""
        return self._graph(queries, out=out.reshape(len(queries), self.rows))[0]


def search(nits: npt.NDArray[np.int8], products: Iterable[tuple[int, Product]], k: int) -> Ranked:
    """Find the rows with the largest scores. The host selects, since OpenVINO's selection is slower for large k.

    Parameters
    ----------
    nits : int8 array of shape (Q, D)
        The queries.
    products : iterable of (int, Product)
        Number of the first row, and the product with the block that starts there, in order of rows.
    k : int
        Number of results per query.

    Returns
    -------
    ids : int64 array of shape (Q, k)
        Best first, of equal scores the lower row first; NO_ID in empty slots.
    scores : int32 array of shape (Q, k)
        INT32_MIN in empty slots.
    """
    parts = [slice(first, min(first + _QUERIES, len(nits))) for first in range(0, len(nits), _QUERIES)]
    selections = [Selection(part.stop - part.start, k, np.float32) for part in parts]
    memory = np.empty(0, np.float32)
    for first, product in products:
        for part, selection in zip(parts, selections, strict=True):
            queries = np.zeros((part.stop - part.start, product.width), np.float32)
            queries[:, : nits.shape[1]] = nits[part]
            if memory.size < len(queries) * product.rows:
                memory = np.empty(len(queries) * product.rows, np.float32)
            selection.offer(product.scores(queries, memory[: len(queries) * product.rows]), first)
    ids, scores = empty(len(nits), k, np.int32)
    for part, selection in zip(parts, selections, strict=True):
        ids[part], scores[part, : selection.count] = selection.ids, selection.scores[:, : selection.count]
    return ids, scores


def all_scores(nits: npt.NDArray[np.int8], products: Sequence[tuple[int, Product]]) -> npt.NDArray[np.int32]:
    """Return the scores (Q, N) of queries (Q, D) against all rows; see `search` for `products`."""
    rows = sum(product.rows for _, product in products)
    scores = np.empty((len(nits), rows), np.int32)
    for first, product in products:
        for start in range(0, len(nits), _QUERIES):
            some = nits[start : start + _QUERIES]
            queries = np.zeros((len(some), product.width), np.float32)
            queries[:, : nits.shape[1]] = some
            memory = np.empty(len(queries) * product.rows, np.float32)
            scores[start : start + len(some), first : first + product.rows] = product.scores(queries, memory)
    return scores
