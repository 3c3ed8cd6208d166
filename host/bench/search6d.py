"""``search6d`` beside FAISS flat on the embeddings with NumPy that scores its candidates, and its recall."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.backends.cpu import Cpu
from ninefold.numerics.ranked import best
from ninefold.numerics.rows import take
from ninefold.numerics.search6d import record_database
from ninefold.numerics.similarity6d import similarities, traits_of, unit_embeddings
from ninefold.numerics.vector6d import Vector6DColumns
from ninefold.spec.benchmark import Figure, Parameter, Request, Size
from ninefold.spec.context import CANDIDATES
from ninefold.spec.operators import OPERATORS

from .limits import limited
from .timing import interleaved

__all__ = ["searches"]

_Columns = Mapping[str, npt.NDArray[Any]]

#: Records, topics, results a query, and rounds.
_PLANS: Final[Mapping[Size, tuple[int, int, int, int]]] = {
    "tiny": (600, 6, 4, 3),
    "small": (100_000, 500, 64, 15),
    "large": (200_000, 1000, 64, 15),
}
#: Queries of a call; the recall is of the largest number.
_QUERIES: Final = (1, 32)
_PEER: Final = "faiss flat, numpy rescoring"
_TARGET: Final = "<= 0.5"
_SEED, _BUDGET_S, _BLOCK = 10, 30.0, 20_000


def searches(request: Request) -> list[Figure]:
    """Return times of ``search6d`` and its peer, and the share of the most similar records that both find."""
    rows, topics, k, rounds = _PLANS[request.size]
    records = _drawn(rows + max(_QUERIES), topics)
    queries, stored = take(records, slice(rows, None)), take(records, slice(rows))
    figures: list[Figure] = []
    with limited(request):
        device = Cpu(threads=request.threads).open()
        sample = unit_embeddings(stored["embedding"][:4096])
        scale = device.run(OPERATORS["calibrate"].bind({"sample": sample}, {"mode": "linear"})).values["scale"]
        database = record_database(stored, float(scale), "linear")
        device.load(database)
        peer = None if importlib.util.find_spec("faiss") is None else _peer(stored, request.threads)
        if peer is None:
            request.note("search6d has no peer: faiss is not installed")
        for number in _QUERIES:
            asked = take(queries, slice(number))
            call = OPERATORS["search6d"].bind({"q": asked, "database": database}, {"k": k})
            contenders: dict[str, Callable[[], Any]] = {"cpu": partial(device.run, call)}
            if peer is not None:
                contenders[_PEER] = partial(peer, asked, k)
            times = interleaved(contenders, rounds, _BUDGET_S)
            parameters: dict[str, Parameter] = {"records": rows, "topics": topics, "queries": number, "k": k}
            beside = "" if peer is None else _PEER
            task = f"search6d of {rows:,} records, queries: {number}" if beside else ""
            target = _TARGET if beside and request.size != "tiny" else ""
            figures.append(times.figure("search6d", "cpu", parameters, beside=beside, target=target, task=task))
            if peer is not None:
                figures.append(times.figure("search6d", _PEER, parameters, better=""))
        exact = _exact(queries, stored, k)
        found = {"cpu": device.run(call).values["ids"]} | ({} if peer is None else {_PEER: peer(queries, k)})
        for name, ids in found.items():
            shares = [len(np.intersect1d(a, b)) / k for a, b in zip(ids, exact, strict=True)]
            recall = float(np.mean(shares))
            figures.append(Figure("search6d", name, f"recall@{k}", recall, "", parameters, kind="exact", better="more"))
        device.close()
    return figures


def _drawn(rows: int, topics: int) -> dict[str, npt.NDArray[Any]]:
    """Return records of topics: a topic has a direction of embeddings and usual intents, and a day has all times."""
    rng = np.random.default_rng(_SEED)
    topic = rng.integers(0, topics, rows)
    arrays = {name: array.copy() for name, array in Vector6DColumns.zeros(rows).arrays.items()}
    centres, intents = rng.standard_normal((topics, 512), np.float32), rng.standard_normal((topics, 256), np.float32)
    for first in range(0, rows, _BLOCK):
        part = slice(first, first + _BLOCK)
        own = topic[part]
        arrays["embedding"][part] = centres[own] + rng.standard_normal((len(own), 512), np.float32)
        arrays["intent"][part] = 3 * intents[own] + rng.standard_normal((len(own), 256), np.float32)
    arrays["timestamp"][:] = rng.integers(0, 86_400_000_000, rows)
    arrays["horizon"][:] = rng.choice([60, 3600], rows)
    arrays["modality"][:] = 1 << rng.integers(0, 8, rows) | 1 << (topic % 8)
    arrays["confidence"][:] = rng.uniform(0.5, 1, rows)
    arrays["links"][:] = rng.integers(0, 3, rows)
    hashes = rng.integers(0, 256, arrays["link_hash"].shape)
    arrays["link_hash"][:] = np.where(np.arange(8) < arrays["links"][:, None], hashes, 0)
    return arrays


def _peer(stored: _Columns, threads: int) -> Callable[[_Columns, int], npt.NDArray[np.int64]]:
    """Return the search of FAISS flat on the embeddings, whose candidates NumPy scores."""
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(stored["embedding"].shape[1])
    for first in range(0, len(stored["embedding"]), _BLOCK):
        index.add(unit_embeddings(stored["embedding"][first : first + _BLOCK]))

    def search(queries: _Columns, k: int) -> npt.NDArray[np.int64]:
        _, rows = index.search(unit_embeddings(queries["embedding"]), CANDIDATES * k)
        ids = np.empty((len(rows), k), np.int64)
        for query, some in enumerate(np.sort(rows, axis=1)):
            candidates = traits_of({name: column[some] for name, column in stored.items()})
            places, _ = best(similarities(traits_of(take(queries, slice(query, query + 1))), candidates)[0], k)
            ids[query] = some[places]
        return ids

    return search


def _exact(queries: _Columns, stored: _Columns, k: int) -> npt.NDArray[np.int64]:
    """Return the most similar of all records."""
    asked = traits_of(queries)
    parts = [
        similarities(asked, traits_of(take(stored, slice(first, first + _BLOCK))))
        for first in range(0, len(stored["links"]), _BLOCK)
    ]
    return best(np.concatenate(parts, axis=1), k)[0]
