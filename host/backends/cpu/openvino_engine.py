"""OpenVINO's int8 product, exact for nits, with selection by our own code (its TopK breaks ties)."""

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.nits import unpack
from ninefold.host.selection import Selection, empty
from ninefold.spec.errors import DeviceError

from .engines import Hits, blocks

__all__ = ["OpenVinoEngine"]

#: Nits in one compiled product, which are also its bytes, and bytes of products that are kept between calls.
_BLOCK, _KEPT_BYTES = 1 << 22, 1 << 29
_QUERIES = 256

#: A product with one block of rows: float32 nits (Q, D) -> float32 scores (Q, B).
_Product = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class OpenVinoEngine:
    """Searches with OpenVINO; the nits are held unpacked, one byte each, while their array lives.

    Parameters
    ----------
    threads : int
        Most threads that a product uses.

    Raises
    ------
    ImportError
        When OpenVINO is not installed.
    """

    path = "openvino"

    def __init__(self, threads: int) -> None:
        import openvino

        self._core = openvino.Core()
        self._settings = {
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._lock = threading.Lock()  # a compiled product serves one caller at a time
        self._kept: dict[int, tuple[weakref.ref[Any], dict[tuple[int, int], _Product]]] = {}

    def mine(self, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Hits:
        """See `Engine.mine`."""
        with self._lock:
            return self._mine(nits, packed, k)

    def _mine(self, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Hits:
        ids, scores = empty(len(nits), k, np.int32)
        dimensions = nits.shape[1]
        products = self._products_of(packed)
        parts = blocks(len(nits), _QUERIES)
        selections = [Selection(part.stop - part.start, k, np.int32) for part in parts]
        for rows in blocks(len(packed), max(1, _BLOCK // dimensions)):
            product = products.get((dimensions, rows.start))
            if product is None:
                product = self._compile(unpack(np.asarray(packed[rows]), dimensions))
                if self._kept_bytes() + _BLOCK <= _KEPT_BYTES:
                    products[dimensions, rows.start] = product
            for part, selection in zip(parts, selections, strict=True):
                selection.offer(product(nits[part].astype(np.float32)), rows.start)
        for part, selection in zip(parts, selections, strict=True):
            ids[part], scores[part] = selection.ids, selection.scores
        return ids, scores

    def _products_of(self, packed: npt.NDArray[np.uint8]) -> dict[tuple[int, int], _Product]:
        """Return the products made for this array so far, by dimensions and first row; they go when the array goes."""
        key = id(packed)
        if key not in self._kept:
            self._kept[key] = (weakref.ref(packed, lambda _: self._kept.pop(key, None)), {})
        return self._kept[key][1]

    def _kept_bytes(self) -> int:
        return sum(len(products) for _, products in self._kept.values()) * _BLOCK

    def _compile(self, nits: npt.NDArray[np.int8]) -> _Product:
        import openvino
        from openvino import opset13 as op

        query = op.parameter([-1, nits.shape[1]], np.float32)
        # Marking the query as int8 is what makes the product run in int8; the levels are the integers themselves.
        low, high = op.constant(np.float32(-128)), op.constant(np.float32(127))
        quantised = op.fake_quantize(query, low, high, low, high, 256)
        ones = op.constant(np.ones((len(nits), 1), np.float32))
        rows = op.multiply(op.convert(op.constant(nits), np.float32), ones)
        model = openvino.Model([op.matmul(quantised, rows, False, True)], [query], "scores")
        try:
            request = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO did not compile a product of {nits.shape}: {error}") from error

        def product(queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            scores: npt.NDArray[np.float32] = request.infer([queries], share_inputs=True, share_outputs=True)[0]
            return scores

        return product
