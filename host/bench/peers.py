"""Other searches that the same queries are put to, on the same vectors and with as many threads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .data import Dataset

__all__ = ["PEERS", "SAME_NITS", "Peer", "Search"]

#: Rows of what was found, (Q, k).
Search = Callable[[npt.NDArray[np.float32], int], npt.NDArray[np.int64]]

#: The peer that searches the same nits exactly, in 8 bits. The signed kind: the unsigned one also takes queries as
#: unsigned bytes, so it cannot rank by the same product.
SAME_NITS: Final = "faiss SQ8, same nits"

#: Of the graphs: links a node and width of the lists while building and searching, hnswlib's and FAISS's usual ones.
_LINKS, _BUILD_WIDTH, _SEARCH_WIDTH = 16, 100, 64
_ADDED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Peer:
    """A search by others.

    Attributes
    ----------
    module : str
        What must be installed.
    install : str
        How.
    build : callable
        ``build(dataset, threads)`` returns the search.
    graph : bool
        Whether it builds a graph, which takes minutes on large databases.
    """

    module: str
    install: str
    build: Callable[[Dataset, int], Search]
    graph: bool = False

    @property
    def missing(self) -> str:
        """Why it cannot take part; empty where it can."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed; {self.install}"
        return ""


def _numpy(data: Dataset, _threads: int) -> Search:
    def search(q: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        scores = q @ data.vectors.T
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        return np.take_along_axis(best, order, 1)

    return search


def _faiss(make: Callable[[Any, int], Any]) -> Callable[[Dataset, int], Search]:
    """Return what builds a FAISS index on the float vectors."""

    def build(data: Dataset, threads: int) -> Search:
        import faiss

        faiss.omp_set_num_threads(threads)
        index = make(faiss, data.vectors.shape[1])
        index.train(data.vectors[: max(10_000, len(data.vectors) // 10)])
        for first in range(0, len(data.vectors), _ADDED_AT_ONCE):
            index.add(data.vectors[first : first + _ADDED_AT_ONCE])
        return lambda q, k: index.search(q, k)[1]

    return build


def _same_nits(data: Dataset, threads: int) -> Search:
    import faiss

    from ninefold.host.quantise import quantise

    faiss.omp_set_num_threads(threads)
    kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexScalarQuantizer(data.nits.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(data.nits[:1].astype(np.float32))
    for first in range(0, len(data.nits), _ADDED_AT_ONCE):
        index.add(data.nits[first : first + _ADDED_AT_ONCE].astype(np.float32))
    scale, mode = float(data.database.attributes["scale"]), str(data.database.attributes["mode"])

    def search(q: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = index.search(quantise(q, scale, mode).astype(np.float32), k)[1]  # type: ignore[arg-type]
        return found

    return search


def _scalar(kind: str) -> Callable[[Any, int], Any]:
    return lambda faiss, d: faiss.IndexScalarQuantizer(
        d, getattr(faiss.ScalarQuantizer, kind), faiss.METRIC_INNER_PRODUCT
    )


def _faiss_product(faiss: Any, dimensions: int) -> Any:
    index = faiss.IndexPQFastScan(dimensions, dimensions // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.min_points_per_centroid = 1  # or it warns of small databases, once for each part
    return index


def _faiss_graph(faiss: Any, dimensions: int) -> Any:
    index = faiss.IndexHNSWFlat(dimensions, _LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = _BUILD_WIDTH, _SEARCH_WIDTH
    return index


def _usearch(data: Dataset, threads: int) -> Search:
    from usearch.index import Index

    index = Index(
        ndim=data.vectors.shape[1],
        metric="ip",
        dtype="i8",
        connectivity=_LINKS,
        expansion_add=_BUILD_WIDTH,
        expansion_search=_SEARCH_WIDTH,
    )
    index.add(np.arange(len(data.vectors)), data.vectors, threads=threads)

    def search(q: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        return np.asarray(index.search(q, k, threads=threads).keys, np.int64).reshape(len(q), -1)

    return search


def _hnswlib(data: Dataset, threads: int) -> Search:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=data.vectors.shape[1])
    index.init_index(max_elements=len(data.vectors), M=_LINKS, ef_construction=_BUILD_WIDTH)
    index.add_items(data.vectors, num_threads=threads)
    index.set_ef(_SEARCH_WIDTH)
    index.set_num_threads(threads)
    return lambda q, k: index.knn_query(q, k=k)[0].astype(np.int64)


_BENCH = "pip install 'ninefold[bench]'"
#: By the names of the report. PQ fast scan has 4 bits for each pair of dimensions, half as much as nits.
PEERS: Final[Mapping[str, Peer]] = {
    "numpy float32": Peer("numpy", "", _numpy),
    SAME_NITS: Peer("faiss", _BENCH, _same_nits),
    "faiss flat": Peer("faiss", _BENCH, _faiss(lambda faiss, d: faiss.IndexFlatIP(d))),
    "faiss SQ8": Peer("faiss", _BENCH, _faiss(_scalar("QT_8bit"))),
    "faiss SQ4": Peer("faiss", _BENCH, _faiss(_scalar("QT_4bit"))),
    "faiss PQ fast scan": Peer("faiss", _BENCH, _faiss(_faiss_product)),
    "faiss HNSW": Peer("faiss", _BENCH, _faiss(_faiss_graph), graph=True),
    "usearch i8 HNSW": Peer("usearch", _BENCH, _usearch, graph=True),
    "hnswlib": Peer("hnswlib", "pip install hnswlib, which needs a C++ compiler", _hnswlib, graph=True),
}
