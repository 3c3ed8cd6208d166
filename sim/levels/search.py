"""Vectors for the cores of the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.hdl.catalogue import make_core
from ninefold.sim.golden.packed import pack
from ninefold.sim.golden.quantise import nits_of_grid
from ninefold.sim.golden.similarity import similarity
from ninefold.sim.golden.topk import topk
from ninefold.sim.levels.case import Beats, Case, Place, Reading, Step, numbers, records
from ninefold.sim.verilated import Stream
from ninefold.sim.verilated.streams import streams_of
from ninefold.spec.data import Database
from ninefold.spec.formats import GRID_FRACTION_BITS, GRID_MAX, GRID_MIN, NIT_BITS, NIT_MAX, NIT_MIN, THRESHOLDS
from ninefold.spec.operators import OPERATORS
from ninefold.spec.registry import backend

__all__ = ["NO_BOARD", "best", "computed", "grid_values", "mined", "search_case"]

NO_BOARD = "boards carry whole miners; compare a configuration, for instance virtual/tiny"

#: Most rows of a store that are filled.
_ROWS = 64

_Ints = npt.NDArray[np.integer[Any]]


def search_case(core: str, parameters: Mapping[str, Any], vectors: int, seed: int) -> Case:
    """Return the vectors of a core of the search: quantiser, similarity, topk, insertion or pipeline.

    Parameters
    ----------
    core : str
        Its name.
    parameters : mapping
        Its parameters.
    vectors : int
        How many vectors, queries or batches.
    seed : int
        Of all of them.
    """
    streams = {stream.name: stream for stream in streams_of(make_core(core, **parameters))}
    random = np.random.default_rng(seed)
    make = {"quantiser": _quantiser, "similarity": _similarity, "pipeline": _pipeline}.get(core, _topk)
    return make(core, parameters, streams, vectors, random)


def computed(operator: str, arguments: Mapping[str, Any], **options: Any) -> Mapping[str, Any]:
    """Return the results of an operator on the processor, by name."""
    device = backend("cpu").open()
    try:
        return device.run(OPERATORS[operator].bind(arguments, options)).values
    finally:
        device.close()


def grid_values(random: np.random.Generator, shape: tuple[int, ...], mode: Any) -> _Ints:
    """Return grid values: any, most of them near a threshold or an end of the range."""
    edges = np.array([0, *THRESHOLDS[mode].reached_at, GRID_MAX])
    near = random.choice(edges, shape) + random.integers(-2, 3, shape)
    values = np.where(random.random(shape) < 0.7, near * random.choice([-1, 1], shape), random.integers(-8000, 8001))
    return np.clip(values, GRID_MIN, GRID_MAX)


def best(scores: _Ints, k: int) -> list[list[tuple[int, int]]]:
    """Return the golden model's pairs of id and score for each row."""
    ids, kept, count = topk(scores, k)
    return [[(int(i), int(s)) for i, s in zip(ids[r, :n], kept[r, :n], strict=True)] for r, n in enumerate(count)]


def mined(grid: _Ints, rows: _Ints, mode: str, k: int) -> list[list[tuple[int, int]]]:
    """Return the processor's pairs of id and score for queries of grid values."""
    packed = pack(rows.astype(np.int8))
    attributes = {"rows": len(rows), "dimensions": rows.shape[1], "scale": 1.0, "mode": mode}
    # On the grid exactly, so that the scale of 1 rounds nothing.
    queries = (grid / 2**GRID_FRACTION_BITS).astype(np.float32)
    arguments = {"q": queries, "database": Database({"nits": packed}, attributes)}
    values = computed("mine", arguments, k=k)
    return [
        [(int(i), int(s)) for i, s in zip(ids[:n], scores[:n], strict=True)]
        for ids, scores, n in zip(values["ids"], values["scores"], values["count"], strict=True)
    ]


def _topk(
    core: str, parameters: Mapping[str, Any], streams: Mapping[str, Stream], vectors: int, random: np.random.Generator
) -> Case:
    k, width = parameters["k"], parameters["score_width"]
    signed = parameters.get("signed", True)
    low = -(1 << (width - 1)) if signed else 0
    high = low + (1 << width) - 1
    sizes = random.choice([1, max(1, k - 1), k, k + 1, 2 * k + 3], vectors).tolist()
    batches = [_scores(random, size, low, high) for size in sizes]
    ids = [random.integers(0, 1 << min(parameters["id_width"], 62), len(batch)).tolist() for batch in batches]
    answers = [best(np.array([batch], object), k)[0] for batch in batches]
    sent = [_rows(batch, name) for batch, name in zip(batches, ids, strict=True)]
    came = [_rows([s for _, s in hits], [n[i] for i, _ in hits]) for hits, n in zip(answers, ids, strict=True)]
    places = _places("topk", "batch", [len(hits) for hits in answers])

    def compute() -> Reading:
        found = []
        for batch, name in zip(batches, ids, strict=True):
            arguments = {"scores": np.array([batch], np.int32), "ids": np.array(name, np.int64)}
            values = computed("topk", arguments, k=k)
            kept = int(values["count"][0])
            pairs = zip(values["scores"][0, :kept].tolist(), values["ids"][0, :kept].tolist(), strict=True)
            found += [{"score": score, "id": i} for score, i in pairs]
        return dict(zip(places, found, strict=True))

    fits = low >= -(2**31) and high < 2**31
    why = f"the operator topk takes scores of 32 bits, signed, and not {width}{'' if signed else ', unsigned'}"
    return Case(
        lambda: make_core(core, **parameters),
        (
            Step(
                {"scores": numbers(streams["scores"], sent)},
                {"results": numbers(streams["results"], came)},
            ),
        ),
        lambda out: _read(places, streams["results"], out["results"]),
        vectors,
        compute if fits else why,
        NO_BOARD,
    )


def _quantiser(
    core: str, parameters: Mapping[str, Any], streams: Mapping[str, Stream], vectors: int, random: np.random.Generator
) -> Case:
    lanes, mode = parameters["lanes"], parameters["mode"]
    words = [int(n) for n in random.integers(1, 6, vectors)]
    grid = [grid_values(random, (n * lanes,), mode) for n in words]
    nits = [nits_of_grid(values, mode) for values in grid]
    places = _places("quantise", "vector", [len(values) for values in nits])

    def read(out: Mapping[str, Beats]) -> Reading:
        found = []
        for record in records(streams["nits"], out["nits"]):
            found += [{"nit": nit, "last": record["last"]} for nit in _lanes(record["nits"], lanes)]
        return dict(zip(places, found, strict=False))

    def compute() -> Reading:
        found: list[int] = []
        for values in grid:
            x = (values / 2**GRID_FRACTION_BITS).astype(np.float32)
            found += computed("quantise", {"x": x}, scale=1.0, mode=mode)["nits"].tolist()
        return {place: {"nit": nit} for place, nit in zip(places, found, strict=True)}

    sent = [_words(values, lanes, 16, "grid") for values in grid]
    came = [_words(values, lanes, NIT_BITS, "nits") for values in nits]
    return Case(
        lambda: make_core(core, **parameters),
        (Step({"values": numbers(streams["values"], sent)}, {"nits": numbers(streams["nits"], came)}),),
        read,
        vectors,
        compute,
        NO_BOARD,
    )


def _similarity(
    core: str, parameters: Mapping[str, Any], streams: Mapping[str, Stream], vectors: int, random: np.random.Generator
) -> Case:
    lanes = parameters["lanes"]
    rows, queries = _nits(random, parameters, vectors)
    scores = similarity(queries, rows)
    came = [_rows(line.tolist(), range(len(rows))) for line in scores]
    places = _places("similarity", "query", [len(rows)] * vectors)

    def compute() -> Reading:
        values = computed("similarity", {"q": queries, "c": rows})["scores"].reshape(-1).tolist()
        return {place: {"score": value} for place, value in zip(places, values, strict=True)}

    load = numbers(streams["load"], [_words(rows.reshape(-1), lanes, NIT_BITS, "nits")])
    asked = numbers(streams["query"], [_words(query, lanes, NIT_BITS, "nits") for query in queries])
    return Case(
        lambda: make_core(core, **parameters),
        (Step({"load": load}, {}), Step({"query": asked}, {"scores": numbers(streams["scores"], came)})),
        lambda out: _read(places, streams["scores"], out["scores"]),
        vectors,
        compute,
        NO_BOARD,
    )


def _pipeline(
    core: str, parameters: Mapping[str, Any], streams: Mapping[str, Stream], vectors: int, random: np.random.Generator
) -> Case:
    lanes, mode, k = parameters["lanes"], parameters["mode"], parameters["k"]
    rows, _ = _nits(random, parameters, vectors)
    grid = grid_values(random, (vectors, parameters["dimensions"]), mode)
    answers = best(similarity(nits_of_grid(grid, mode), rows), k)
    places = _places("mine", "query", [len(hits) for hits in answers])

    def compute() -> Reading:
        found = [{"score": score, "id": i} for hits in mined(grid, rows, mode, k) for i, score in hits]
        return dict(zip(places, found, strict=True))

    load = numbers(streams["load"], [_words(rows.reshape(-1), lanes, NIT_BITS, "nits")])
    asked = numbers(streams["values"], [_words(query, lanes, 16, "grid") for query in grid])
    came = [_rows([score for _, score in hits], [i for i, _ in hits]) for hits in answers]
    return Case(
        lambda: make_core(core, **parameters),
        (Step({"load": load}, {}), Step({"values": asked}, {"results": numbers(streams["results"], came)})),
        lambda out: _read(places, streams["results"], out["results"]),
        vectors,
        compute,
        NO_BOARD,
        # Nothing need move outside while a query is scored against all rows.
        patience=10_000 + 4 * len(rows) * parameters["dimensions"] // lanes,
    )


def _scores(random: np.random.Generator, size: int, low: int, high: int) -> list[int]:
    """Return scores with ties and extremes."""
    dtype = np.int64 if low < 0 else np.uint64
    tied = int(random.integers(low, high, endpoint=True, dtype=dtype))
    any_ = random.integers(low, high, size, endpoint=True, dtype=dtype).tolist()
    chosen = random.integers(0, 6, size)
    return [{0: low, 1: high, 2: tied}.get(int(which), score) for which, score in zip(chosen, any_, strict=True)]


def _nits(
    random: np.random.Generator, parameters: Mapping[str, Any], vectors: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Return rows, as many as the store has up to 64, and queries; extremes are frequent."""
    values = np.array([NIT_MIN, NIT_MAX, *range(NIT_MIN, NIT_MAX + 1)], np.int8)
    dimensions = parameters["dimensions"]
    return random.choice(values, (min(parameters["depth"], 64), dimensions)), random.choice(
        values, (vectors, dimensions)
    )


def _rows(scores: Sequence[int], ids: Sequence[int]) -> list[dict[str, int]]:
    """Return the records of a batch, ``last`` on the final one."""
    end = len(scores) - 1
    return [{"score": s, "id": i, "last": int(n == end)} for n, (s, i) in enumerate(zip(scores, ids, strict=True))]


def _words(values: _Ints, lanes: int, bits: int, name: str) -> list[dict[str, int]]:
    """Return a vector as records of `lanes` values, ``last`` on the final one."""
    mask = (1 << bits) - 1
    words = [sum((int(v) & mask) << bits * i for i, v in enumerate(word)) for word in values.reshape(-1, lanes)]
    return [{name: word, "last": int(n == len(words) - 1)} for n, word in enumerate(words)]


def _lanes(word: int, lanes: int) -> list[int]:
    nibbles = [word >> NIT_BITS * lane & 15 for lane in range(lanes)]
    return [nibble - 16 if nibble & 8 else nibble for nibble in nibbles]


def _places(operator: str, called: str, sizes: Sequence[int]) -> list[Place]:
    return [Place(operator, f"{called} {i}", element) for i, size in enumerate(sizes) for element in range(size)]


def _read(places: Sequence[Place], stream: Stream, beats: Beats) -> Reading:
    return dict(zip(places, records(stream, beats), strict=False))
