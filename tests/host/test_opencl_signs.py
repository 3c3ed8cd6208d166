"""The scan of signs on OpenCL: weights by population counts, limits from a sample, and what they may miss."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ninefold.host.backends.opencl import OpenCl, memory, signs
from ninefold.host.backends.opencl.device import OpenClDevice
from ninefold.spec.data import Database
from ninefold.spec.operators import OPERATORS
from ninefold.spec.residents import load_and_run
from tests.conformance.data import database, mask, nits
from tests.host.test_cpu_candidates import expected, whole
from tests.host.test_opencl_backend import targets


@pytest.fixture(scope="module", params=targets())
def device(request: pytest.FixtureRequest) -> Any:
    family, instance = request.param
    opened = OpenCl(family).open(instance)
    yield opened
    opened.close()


def assert_finds(
    device: OpenClDevice, data: Database, q: npt.NDArray[np.float32], keep: int, allowed: Any = None
) -> None:
    call = OPERATORS["candidates"].bind({"q": q, "database": data, "allowed": allowed}, {"keep": keep})
    found = load_and_run(device, call).values
    for one, other in zip((found["ids"], found["scores"]), expected(data, q, keep, allowed), strict=True):
        np.testing.assert_array_equal(one, other)
    device.unload(data.digest)


@pytest.mark.parametrize("dimensions", [1, 63, 64, 65, 384])
def test_shapes_around_every_block(device: OpenClDevice, dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    for rows in (1, 7, 8, 9, 700, 5003):
        data = database(nits(random, rows, dimensions), 1.0, "linear")
        for queries, keep in ((1, 40), (3, 1), (6, rows)):
            assert_finds(device, data, whole(random, queries, dimensions), keep)


def test_many_rows_with_ties_and_a_mask(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    data = database(nits(random, 40_000, 16), 1.0, "linear")
    monkeypatch.setattr(signs, "_QUERIES", 8)
    for keep in (10, 700):
        assert_finds(device, data, whole(random, 21, 16), keep)
    monkeypatch.setattr(signs, "_BYTES", 1 << 18)
    assert_finds(device, data, whole(random, 5, 16), 700, mask(random, 40_000, 0.3))


def test_few_rows_leave_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(6)
    device = OpenCl("vector").open()
    monkeypatch.setattr(signs, "coarse_scores", None)  # which reads all of them
    assert_finds(device, database(nits(random, 40_000, 384), 1.0, "linear"), whole(random, 9, 384), 100)
    device.close()


def test_limits_that_too_few_or_too_many_rows_reach(device: OpenClDevice) -> None:
    random = np.random.default_rng(7)
    rows, q = nits(random, 9000, 64), whole(random, 5, 64)
    # Every thirty-second block of 8 rows is in the sample: these rows equal a query there, and nowhere else.
    for block in range(0, 1000, 32):
        rows[8 * block : 8 * block + 1] = q[3].astype(np.int8)
    # More neighbouring rows than the list of a share holds equal another query.
    rows[3000:4500] = q[1].astype(np.int8)
    assert_finds(device, database(rows, 1.0, "linear"), q, 60)


def test_several_buffers(device: OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(8)
    monkeypatch.setattr(device.memory, "_largest", 30_000)
    monkeypatch.setattr(memory, "_PIECE_BYTES", 5_000)
    assert_finds(device, database(nits(random, 9001, 100), 1.0, "linear"), whole(random, 5, 100), 50)


def test_the_largest_magnitudes(device: OpenClDevice) -> None:
    rows = np.full((70, 4096), 4, np.int8)
    rows[3::2] = -4
    assert_finds(device, database(rows, 1.0, "linear"), np.full((2, 4096), -4, np.float32), 70)
