"""Exact products with packed nits by OpenVINO, kept between calls."""

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.host.openvino_runtime import BLOCK, Product, Target, search
from ninefold.numerics.ranked import Ranked

__all__ = ["PackedProducts"]

#: Bytes of products that are kept between calls.
_KEPT_BYTES = 1 << 29


class PackedProducts:
    """Products of queries and packed nits. A second packed copy of the nits is kept while their array exists.

    Parameters
    ----------
    threads : int
        Maximum number of threads of a product.

    Raises
    ------
    UnavailableError
        OpenVINO is not installed.
    """

    def __init__(self, threads: int) -> None:
        self._target = Target("CPU", {"INFERENCE_NUM_THREADS": str(threads)})
        self._lock = threading.Lock()  # a product serves one caller at a time
        self._kept: dict[int, tuple[weakref.ref[Any], dict[tuple[int, int], Product]]] = {}

    def nearest(self, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Ranked:
        """Return the k rows of `packed` with the largest products; see `mine.nearest`."""
        with self._lock:
            return search(nits, self._products(packed, nits.shape[1]), k)

    def _products(self, packed: npt.NDArray[np.uint8], dimensions: int) -> Iterator[tuple[int, Product]]:
        """Yield first row and product of each block, built if it is not kept."""
        products = self._products_of(packed)
        step = max(1, BLOCK // dimensions)
        for first in range(0, len(packed), step):
            product = products.get((dimensions, first))
            if product is None:
                product = Product(self._target, np.asarray(packed[first : first + step]))
                if self._kept_bytes() + product.nbytes <= _KEPT_BYTES:
                    products[dimensions, first] = product
            yield first, product

    def _products_of(self, packed: npt.NDArray[np.uint8]) -> dict[tuple[int, int], Product]:
        """Return the products built for this array, by dimensions and first row; they are freed with the array."""
        key = id(packed)
        if key not in self._kept:
            self._kept[key] = (weakref.ref(packed, lambda _: self._kept.pop(key, None)), {})
        return self._kept[key][1]

    def _kept_bytes(self) -> int:
        return sum(product.nbytes for _, products in self._kept.values() for product in products.values())
