"""The kernel's scan of signs, and its dot products for reranking, bit for bit on every path."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host import refine
from ninefold.host.backends.cpu import Cpu
from ninefold.host.backends.cpu.device import CpuDevice
from ninefold.host.backends.cpu.kernel import Kernel
from ninefold.host.backends.cpu.probe import lists_of
from ninefold.host.backends.cpu.rerank import rerank
from ninefold.numerics.nits import unpack
from ninefold.numerics.ranked import empty
from ninefold.numerics.shards import shard
from ninefold.numerics.signs import coarse_scores, sign_plane
from ninefold.numerics.stages import best_lists, eligible_rows, quantised, selected
from ninefold.spec.data import Database, joined
from ninefold.spec.operators import OPERATORS
from ninefold.spec.residents import load_and_run
from tests.conformance.data import clustered, database, mask, nits
from tests.host.test_cpu_kernel import ALL, HERE_COMPILED


@pytest.fixture(scope="module", params=ALL)
def device(request: pytest.FixtureRequest) -> CpuDevice:
    return Cpu(request.param, threads=3).open()


def expected(data: Database, q: npt.NDArray[np.float32], keep: int, allowed: npt.NDArray[Any] | None = None) -> Any:
    """Return ids and scores by sorting everything; the scale is 1 and the mode linear."""
    dimensions = int(data.attributes["dimensions"])
    queries = np.clip(np.rint(q), -4, 4).astype(np.int64)
    scores = queries @ np.where(unpack(data.arrays["nits"], dimensions) < 0, -1, 1).T
    rows = np.arange(scores.shape[1])
    if allowed is not None:
        rows = np.flatnonzero(np.unpackbits(allowed, bitorder="little")[: len(rows)])
    order = rows[np.argsort(-scores[:, rows], axis=1, kind="stable")[:, :keep]]
    ids, best = empty(len(q), keep, np.int32)
    ids[:, : order.shape[1]], best[:, : order.shape[1]] = order, np.take_along_axis(scores, order, 1)
    return ids, best


def assert_finds(device: CpuDevice, data: Database, q: npt.NDArray[np.float32], keep: int, allowed: Any = None) -> None:
    call = OPERATORS["candidates"].bind({"q": q, "database": data, "allowed": allowed}, {"keep": keep})
    found = load_and_run(device, call).values
    for one, other in zip((found["ids"], found["scores"]), expected(data, q, keep, allowed), strict=True):
        np.testing.assert_array_equal(one, other)


def whole(random: np.random.Generator, queries: int, dimensions: int) -> npt.NDArray[np.float32]:
    return random.integers(-4, 5, (queries, dimensions)).astype(np.float32)


@pytest.mark.parametrize("dimensions", [1, 7, 8, 9, 24, 25, 384])
def test_shapes_around_every_block(device: CpuDevice, dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    for rows in (1, 63, 64, 65, 1100):
        data = database(nits(random, rows, dimensions), 1.0, "linear")
        for keep in (1, 40, rows):
            assert_finds(device, data, whole(random, 3, dimensions), keep)


def test_many_rows_on_several_threads_with_ties(device: CpuDevice) -> None:
    random = np.random.default_rng(5)
    data = database(nits(random, 40_000, 16), 1.0, "linear")
    for keep in (10, 700, 8192):
        assert_finds(device, data, whole(random, 24, 16), keep)
    assert_finds(device, data, whole(random, 5, 16), 700, mask(random, 40_000, 0.3))


def test_a_sample_that_promises_too_much(device: CpuDevice) -> None:
    random = np.random.default_rng(7)
    rows, q = nits(random, 9000, 24), whole(random, 5, 24)
    # The sample is every sixteenth block. Fewer rows than are kept equal a query, and they are in sampled blocks.
    rows[:20] = q[3].astype(np.int8)
    rows[16 * 64 : 16 * 64 + 10] = q[1].astype(np.int8)
    assert_finds(device, database(rows, 1.0, "linear"), q, 40)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_magnitudes_at_4096_dimensions(device: CpuDevice, sign: int) -> None:
    rows = np.full((70, 4096), 4, np.int8)
    rows[3::2] = -4
    assert_finds(device, database(rows, 1.0, "linear"), np.full((2, 4096), 4 * sign, np.float32), 70)


def test_rows_by_list_keep_their_numbers(device: CpuDevice) -> None:
    random = np.random.default_rng(8)
    data = clustered(random, nits(random, 3000, 24))
    assert_finds(device, data, whole(random, 9, 24), 100)
    assert_finds(device, data, whole(random, 9, 24), 100, mask(random, 3000, 0.5))


@pytest.mark.parametrize("rows", [(1, 63, 64, 5), (3000, 1, 1100, 900), (20_000, 700, 9_300)])
@pytest.mark.parametrize("path", [*HERE_COMPILED, "numpy"])
def test_databases_that_are_joined_are_searched_as_one(path: str, rows: tuple[int, ...]) -> None:
    device = Cpu(path, threads=3).open()
    random = np.random.default_rng(len(rows))
    total = sum(rows)
    one = clustered(random, nits(random, total, 24, low=-2, high=2))
    call = OPERATORS["mine"].bind({"q": whole(random, 1, 24), "database": one})
    parts = joined([part.database() for part in shard(call, np.cumsum(rows)[:-1].tolist())])
    lists = {"macro": 20, "micro": 9}
    for operator, options in (
        ("mine", {"k": 200}),
        ("mine", {"scan": "signs", "oversample": 9}),
        ("mine", {"scan": "signs", "oversample": 3, **lists}),
        ("mine", {"k": 5, **lists}),
        ("candidates", {"keep": 90, **lists}),
    ):
        for share in (None, 0.6, 0.1):
            given = {"q": whole(random, 7, 24), "allowed": None if share is None else mask(random, total, share)}
            found, wanted = (
                load_and_run(device, OPERATORS[operator].bind({**given, "database": database}, options)).values
                for database in (parts, one)
            )
            for name in wanted:
                np.testing.assert_array_equal(found[name], wanted[name], f"{options} {share} {name}")
                assert found[name].dtype == wanted[name].dtype


@pytest.mark.parametrize("path", [*HERE_COMPILED, pytest.param("avx512", marks=pytest.mark.avx512)])
@pytest.mark.parametrize("dimensions", [1, 24, 129])
def test_the_kernel_finds_the_best_lists(path: str, dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    data = clustered(random, nits(random, 2000, dimensions))
    for queries, macro, micro in ((1, 1, 1), (3, 64, 16), (40, 8, 4)):
        q = random.integers(-4, 5, (queries, dimensions)).astype(np.int8)
        found = lists_of(Kernel(path, 2), q, data, macro, micro)
        for one, other in zip(found, best_lists(q, data, macro, micro), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("macro", [1, 16, 64])
def test_lists_that_are_neighbours(device: CpuDevice, macro: int) -> None:
    random = np.random.default_rng(macro)
    data = clustered(random, nits(random, 30_000, 24))
    q = whole(random, 6, 24)
    for micro in (3, 16):
        options = {"keep": 200, "macro": macro, "micro": micro}
        call = OPERATORS["candidates"].bind({"q": q, "database": data}, options)
        eligible = eligible_rows(call, quantised(call))
        wanted = selected(coarse_scores(quantised(call), sign_plane(data.arrays["nits"], 24), 24), 200, eligible)
        found = load_and_run(device, call).values
        for name in ("ids", "scores", "count"):
            np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.parametrize("path", HERE_COMPILED)
@pytest.mark.parametrize(("queries", "rows", "dimensions"), [(1, 1, 1), (3, 15, 7), (2, 16, 384), (5, 256, 33)])
def test_reranking_has_the_same_bits(path: str, queries: int, rows: int, dimensions: int) -> None:
    random = np.random.default_rng(rows)
    vectors = random.integers(0, 1 << 16, (300, dimensions), dtype=np.uint16).view(np.float16).copy()
    vectors[~np.isfinite(vectors)] = np.float16(-0.0)
    vectors[7] = np.float16(6e-8)  # the least magnitude
    q = random.normal(size=(queries, dimensions)).astype(np.float32)
    ids = random.integers(-1, 300, (queries, rows))
    found = rerank(Kernel(path, 2), q, ids, vectors)
    assert found is not None
    assert [part.tobytes() for part in found] == [part.tobytes() for part in refine._ranked(q, ids, vectors)]


def test_arrays_that_the_kernel_does_not_take() -> None:
    kernel = Kernel("portable", 1)
    q, ids, vectors = np.ones((1, 4), np.float32), np.zeros((1, 2), np.int64), np.ones((3, 8), np.float16)
    assert rerank(kernel, q, ids, vectors[:, :4]) is None
    assert rerank(kernel, q, ids, vectors[:, :4].astype(np.float32)) is None


def test_rows_that_score_alike_are_reranked_in_order() -> None:
    vectors = np.array([[1], [-0.0], [0], [1]], np.float16)
    found = rerank(Kernel("portable", 1), np.ones((1, 1), np.float32), np.array([[3, -1, 2, 0, 1]]), vectors)
    assert found is not None
    assert found[0].tolist() == [[0, 3, 1, 2, -1]]
