"""Peers of the search: other libraries, on the same vectors and queries and with the same number of threads."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .data import Dataset

__all__ = ["PEERS", "SAME_NITS", "Peer", "PeerIndex", "Search"]

#: Function of queries, float32 (Q, D), and k; returns the rows found, int64 (Q, k).
Search = Callable[[npt.NDArray[np.float32], int], npt.NDArray[np.int64]]

#: Peer that searches the same nits exactly, in 8 bits. The unsigned kind would also convert queries to unsigned bytes,
#: and rank by another product.
SAME_NITS: Final = "faiss SQ8, same nits"

#: Links a node (M) and width of the lists while building (efConstruction), for all graphs.
_LINKS, _BUILD_WIDTH = 32, 200
#: Widths of the lists while searching.
_WIDTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
#: Lists that an inverted file visits, and its lists: a multiple of the square root of the rows.
_VISITED, _LISTS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512), 2.0
#: Rows a list that an inverted file is trained with, and rounds of k-means.
_TRAINED, _ROUNDS = 64, 10
#: Multiples of k that are reranked with float vectors.
_FACTORS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
_ADDED_AT_ONCE = 10_000


@dataclass(frozen=True)
class PeerIndex:
    """Index of a peer.

    Attributes
    ----------
    search : callable
        Search with the current setting.
    tune : callable
        ``tune(setting)`` changes the search parameter of a peer that has one.
    """

    search: Search
    tune: Callable[[int], object] = lambda _: None

    def at(self, setting: int) -> Search:
        """Return the search with a value of the search parameter."""

        def search(q: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
            self.tune(setting)
            return self.search(q, k)

        return search


@dataclass(frozen=True)
class Peer:
    """Search by another library.

    Attributes
    ----------
    module : str
        Module that must be installed.
    install : str
        Command that installs it.
    build : callable
        ``build(dataset, threads)`` returns the index.
    graph : bool
        True for a graph, which takes minutes to build on large databases.
    parameter : str
        Name of the search parameter that trades time for recall; empty without one.
    settings : tuple of int
        Values of the search parameter, in order of growing recall.
    """

    module: str
    install: str
    build: Callable[[Dataset, int], PeerIndex]
    graph: bool = False
    parameter: str = ""
    settings: tuple[int, ...] = ()

    @property
    def missing(self) -> str:
        """Reason for which the peer cannot take part; empty if it can."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed; {self.install}"
        return ""


def _numpy(data: Dataset, _threads: int) -> PeerIndex:
    def search(q: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        scores = q @ data.vectors.T
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        return np.take_along_axis(best, order, 1)

    return PeerIndex(search)


def _faiss(
    make: Callable[[Any, int, int], Any],
    tune: Callable[[Any, int], object] = lambda *_: None,
    trained: Callable[[int], int] = lambda rows: max(10_000, rows // 10),
) -> Callable[[Dataset, int], PeerIndex]:
    """Return a function that builds a FAISS index on the float vectors.

    Parameters
    ----------
    make : callable
        ``make(faiss, rows, dimensions)`` returns the empty index.
    tune : callable
        ``tune(index, setting)`` changes its search parameter.
    trained : callable
        ``trained(rows)`` returns the number of rows to train with.
    """

    def build(data: Dataset, threads: int) -> PeerIndex:
        import faiss

        faiss.omp_set_num_threads(threads)
        rows, dimensions = data.vectors.shape
        index = make(faiss, rows, dimensions)
        index.train(data.vectors[: trained(rows)])
        for first in range(0, len(data.vectors), _ADDED_AT_ONCE):
            index.add(data.vectors[first : first + _ADDED_AT_ONCE])
        return PeerIndex(lambda q, k: index.search(q, k)[1], lambda setting: tune(index, setting))

    return build


def _same_nits(data: Dataset, threads: int) -> PeerIndex:
    import faiss

    from ninefold.numerics.quantise import quantise

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

    return PeerIndex(search)


def _scalar(kind: str) -> Callable[[Any, int, int], Any]:
    return lambda faiss, _, d: faiss.IndexScalarQuantizer(
        d, getattr(faiss.ScalarQuantizer, kind), faiss.METRIC_INNER_PRODUCT
    )


def _faiss_product(faiss: Any, _rows: int, dimensions: int) -> Any:
    index = faiss.IndexPQFastScan(dimensions, dimensions // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.min_points_per_centroid = 1  # otherwise it warns once a part on small databases
    return index


def _faiss_product_reranked(faiss: Any, rows: int, dimensions: int) -> Any:
    return faiss.IndexRefineFlat(_faiss_product(faiss, rows, dimensions))


def _faiss_graph(faiss: Any, _rows: int, dimensions: int) -> Any:
    index = faiss.IndexHNSWFlat(dimensions, _LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILD_WIDTH
    return index


def _lists(rows: int) -> int:
    return max(1, int(_LISTS * math.sqrt(rows)))


def _faiss_lists(faiss: Any, rows: int, dimensions: int) -> Any:
    coarse = faiss.IndexFlatIP(dimensions)
    index = faiss.IndexIVFFlat(coarse, dimensions, _lists(rows), faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.min_points_per_centroid = _ROUNDS, 1
    return index


def _faiss_signs(faiss: Any, _rows: int, dimensions: int) -> Any:
    """Return RaBitQ, one bit a dimension after a random rotation, reranked with the float vectors."""
    codes = faiss.IndexRaBitQFastScan(dimensions, faiss.METRIC_INNER_PRODUCT)
    rotated = faiss.IndexPreTransform(faiss.RandomRotationMatrix(dimensions, dimensions), codes)
    return faiss.IndexRefineFlat(rotated)


def _usearch(data: Dataset, threads: int) -> PeerIndex:
    from usearch.index import Index

    index = Index(
        ndim=data.vectors.shape[1],
        metric="ip",
        dtype="f16",
        connectivity=_LINKS,
        expansion_add=_BUILD_WIDTH,
    )
    index.add(np.arange(len(data.vectors)), data.vectors, threads=threads)

    def search(q: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        return np.asarray(index.search(q, k, threads=threads).keys, np.int64).reshape(len(q), -1)

    return PeerIndex(search, lambda setting: setattr(index, "expansion_search", setting))


def _hnswlib(data: Dataset, threads: int) -> PeerIndex:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=data.vectors.shape[1])
    index.init_index(max_elements=len(data.vectors), M=_LINKS, ef_construction=_BUILD_WIDTH)
    index.add_items(data.vectors, num_threads=threads)
    index.set_num_threads(threads)
    return PeerIndex(lambda q, k: index.knn_query(q, k=k)[0].astype(np.int64), index.set_ef)


_BENCH = "pip install 'ninefold[bench]'"
#: Peers by their names in the report. PQ fast scan has 4 bits for each pair of dimensions, half the size of nits.
PEERS: Final[Mapping[str, Peer]] = {
    "numpy float32": Peer("numpy", "", _numpy),
    SAME_NITS: Peer("faiss", _BENCH, _same_nits),
    "faiss flat": Peer("faiss", _BENCH, _faiss(lambda faiss, _, d: faiss.IndexFlatIP(d))),
    "faiss SQ8": Peer("faiss", _BENCH, _faiss(_scalar("QT_8bit"))),
    "faiss SQ4": Peer("faiss", _BENCH, _faiss(_scalar("QT_4bit"))),
    "faiss PQ fast scan": Peer("faiss", _BENCH, _faiss(_faiss_product)),
    "faiss PQ fast scan, reranked": Peer(
        "faiss",
        _BENCH,
        _faiss(_faiss_product_reranked, lambda index, value: setattr(index, "k_factor", value)),
        parameter="k_factor",
        settings=_FACTORS,
    ),
    "faiss IVF": Peer(
        "faiss",
        _BENCH,
        _faiss(
            _faiss_lists,
            lambda index, value: setattr(index, "nprobe", min(value, index.nlist)),
            lambda rows: _TRAINED * _lists(rows),
        ),
        parameter="nprobe",
        settings=_VISITED,
    ),
    "faiss RaBitQ fast scan": Peer(
        "faiss",
        _BENCH,
        _faiss(_faiss_signs, lambda index, value: setattr(index, "k_factor", value)),
        parameter="k_factor",
        settings=_FACTORS,
    ),
    "faiss HNSW": Peer(
        "faiss",
        _BENCH,
        _faiss(_faiss_graph, lambda index, value: setattr(index.hnsw, "efSearch", value)),
        graph=True,
        parameter="efSearch",
        settings=_WIDTHS,
    ),
    "usearch": Peer("usearch", _BENCH, _usearch, graph=True, parameter="expansion_search", settings=_WIDTHS),
    "hnswlib": Peer(
        "hnswlib",
        "pip install hnswlib, which needs a C++ compiler",
        _hnswlib,
        graph=True,
        parameter="ef",
        settings=_WIDTHS,
    ),
}
