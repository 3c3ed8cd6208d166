"""The golden models of the momentum memory against values worked out by hand, and what their signatures refuse."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from ninefold.numerics.momentum import new_memory, new_rows
from ninefold.sim import golden
from ninefold.spec.data import State
from ninefold.spec.errors import InputError
from ninefold.spec.momentum import MEMORY
from ninefold.spec.operators import OPERATORS

UPDATE, CLEAN, HOT = (OPERATORS[f"dmi_{name}"] for name in ("update", "clean", "hot"))


def memory(rows: Any, **arrays: Any) -> State:
    count = len(rows)
    zeros = {
        "momentum": np.zeros(count, np.float32),
        "last": np.zeros(count),
        "count": np.zeros(count, np.int64),
        "version": np.zeros(count, np.int64),
        "clock": np.zeros(1),
    }
    given = {name: np.array(value, zeros[name].dtype) for name, value in arrays.items()}
    return MEMORY.state("by hand", {"rows": np.array(rows, np.float16), **zeros, **given}, {"seed": 5})


def updated(state: State, *updates: tuple[int, Any, float]) -> dict[str, Any]:
    clusters, vectors, times = zip(*updates, strict=True)
    arguments = {
        "clusters": np.array(clusters, np.int64),
        "vectors": np.array(vectors, np.float32),
        "times": np.array(times, np.float64),
    }
    values, after = golden.step(UPDATE.bind({"state": state, **arguments}))
    assert values == {}
    return dict(after)


def test_the_first_vector_has_a_weight_of_a_twentieth() -> None:
    after = updated(memory([[1, 0], [3, 4]]), (0, [1, 1], 1000.0))
    # 0.95 + 0.05 and 0.05 as float16; 819 / 2**14 is the nearest float16 to 0.05.
    assert after["rows"].tolist() == [[1, 819 / 2**14], [3, 4]]
    cosine = (1 + 819 / 2**14) / math.sqrt(2 * (1 + (819 / 2**14) ** 2))
    assert after["momentum"] == pytest.approx([0.1 * cosine, 0], abs=1e-7)
    assert (after["last"].tolist(), after["count"].tolist(), after["clock"].tolist()) == ([1000, 0], [1, 0], [1000])


def test_a_pause_of_300_s_reduces_the_weight_by_e() -> None:
    before = memory([[0]], last=[700], count=[1], momentum=[0.5], clock=[900])
    after = updated(before, (0, [-1], 1000.0))
    assert after["rows"][0, 0] == np.float16(-0.05 / math.e)
    assert after["momentum"][0] == pytest.approx(0.9 * 0.5 + 0.1)


def test_updates_of_one_cluster_follow_one_another() -> None:
    after = updated(memory([[0]]), (0, [1], 10.0), (0, [1], 310.0))
    first = float(np.float16(0.05))
    weight = 0.05 / math.e
    assert after["rows"][0, 0] == np.float16((1 - weight) * first + weight)
    assert after["momentum"][0] == pytest.approx(0.19)
    assert (after["last"][0], after["count"][0]) == (310, 2)


def test_products_are_rounded_before_they_are_added() -> None:
    # With a fused multiply-add, or in float64, the sum is another float16.
    weight = np.float32(0.05)
    rest = np.float32(1) - weight
    rng = np.random.default_rng(8)
    rows, vectors = rng.normal(0, 1, 200_000).astype(np.float16), rng.normal(0, 1, 200_000).astype(np.float32)
    exact = float(rest) * rows.astype(np.float64) + float(weight) * vectors.astype(np.float64)
    rounded = (rest * rows.astype(np.float32) + weight * vectors).astype(np.float16)
    differ = np.flatnonzero(exact.astype(np.float16) != rounded)[:5]
    assert len(differ) == 5
    after = updated(memory(rows[differ][None]), (0, vectors[differ], 1.0))
    assert after["rows"][0].tolist() == rounded[differ].tolist()


@pytest.mark.parametrize("vector", [[0.0, 0.0], [2.0**-130, -(2.0**-127)]])
def test_the_cosine_with_a_zero_vector_is_zero(vector: list[float]) -> None:
    after = updated(memory([[1, 0]], momentum=[0.5]), (0, vector, 1.0))
    assert after["momentum"][0] == np.float32(0.45)


def test_tiny_vectors_have_a_direction() -> None:
    after = updated(memory([[1, 0]]), (0, [2.0**-126, 0], 1.0))
    assert after["momentum"][0] == np.float32(0.1)


def cleaned(state: State, time: float, **options: float) -> dict[str, Any]:
    values, after = golden.step(CLEAN.bind({"state": state, "time": np.array(time)}, options))
    assert values == {}
    return dict(after)


def test_momentum_fades_beyond_the_maximum_age() -> None:
    before = memory([[1]] * 4, momentum=[0.5, 0.5, 0.5, 0], last=[100, 400, 401, 0], count=[1, 1, 1, 0])
    after = cleaned(before, 4000.0)
    assert after["momentum"] == pytest.approx([0.5 / math.e, 0.5, 0.5, 0])
    assert after["rows"].tolist() == [[1]] * 4
    assert (after["version"].tolist(), after["clock"].tolist()) == ([0] * 4, [4000])


def test_clusters_without_momentum_get_a_new_row() -> None:
    before = memory([[1, 2]] * 3, momentum=[0.02, -0.5, 0.02], last=[50, 50, 99], count=[4, 5, 6], version=[0, 6, 0])
    after = cleaned(before, 400.0, max_age=1.0)
    assert after["momentum"].tolist() == [0, 0, 0]
    assert after["version"].tolist() == [1, 7, 1]
    assert after["count"].tolist() == after["last"].tolist() == [0, 0, 0]
    assert after["rows"].tolist() == new_rows(5, 2, [(0, 1), (1, 7), (2, 1)]).tolist()


def test_new_rows_are_a_function_of_seed_cluster_and_version() -> None:
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([9, 2, 0])))
    row = generator.normal(0, 0.1, 7).astype(np.float16)
    state = new_memory("m", 3, 7, seed=9)
    assert state.arrays["rows"][2].tolist() == row.tolist()
    # The bits that NumPy 2 gives, so that a change of its generators is seen.
    assert new_rows(0, 3, [(0, 0)]).view(np.uint16).tolist() == [[8816, 41668, 11289]]
    large = new_memory("m", seed=1).arrays["rows"]
    assert large.shape == (1024, 512)
    assert large.std() == pytest.approx(0.1, abs=1e-3)


def test_hot_clusters() -> None:
    state = memory([[0]] * 6, momentum=[0.1, 0.3, 0.0999999, 1, 0.3, -1])
    values = golden.answer(HOT.bind({"state": state}, {"k": 5}))
    assert values["ids"].tolist() == [3, 1, 4, 0, -1]
    assert values["momentum"].tolist() == [*np.array([1, 0.3, 0.3, 0.1], np.float32).tolist(), -np.inf]
    assert int(values["count"]) == 4
    assert golden.answer(HOT.bind({"state": state}, {"k": 2}))["ids"].tolist() == [3, 1]


GOOD: dict[str, Any] = {
    "clusters": np.array([0, 1]),
    "vectors": np.zeros((2, 3), np.float32),
    "times": np.array([5.0, 5.0]),
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"clusters": np.array([0, 2])}, "clusters must be 0 to 1, not 2"),
        ({"clusters": np.array([-1, 0])}, "clusters must be 0 to 1, not -1"),
        ({"times": np.array([4.0, 6.0])}, "time must be at least 5.0, the latest time of the memory, not 4.0"),
        ({"times": np.array([6.0, 5.5])}, "times must run forward, but 5.5 follows 6.0"),
        ({"times": np.array([5.0, np.nan])}, "times must not contain NaN"),
        ({"times": np.array([5.0, np.inf])}, "times must be 0 to 1000000000000000.0, not inf"),
        ({"times": np.array([5.0])}, "times must have B = 2, not 1 (shape (1,))"),
        ({"vectors": np.array([[0, 0, 0], [0, np.nan, 0]], np.float32)}, "vectors must not contain NaN"),
        ({"vectors": np.full((2, 3), 65505, np.float32)}, "vectors must be -65504.0 to 65504.0, not 65505.0"),
        ({"vectors": np.zeros((2, 4), np.float32)}, "vectors must have D = 3, not 4 (shape (2, 4))"),
        ({"vectors": np.zeros((2, 3))}, "vectors must have dtype float32, not float64"),
    ],
)
def test_wrong_updates_are_refused(changed: dict[str, Any], message: str) -> None:
    state = memory([[0] * 3] * 2, clock=[5])
    assert UPDATE.bind({"state": state, **GOOD})
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        UPDATE.bind({"state": state, **GOOD, **changed})


def test_an_earlier_time_of_cleaning_is_refused() -> None:
    state = memory([[0]], clock=[5])
    with pytest.raises(InputError, match=r"^time must be at least 5\.0, the latest time of the memory, not 4\.5$"):
        CLEAN.bind({"state": state, "time": np.array(4.5)})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"momentum": [0, 0, 0]}, "memory.momentum must have C = 2, not 3 (shape (3,))"),
        ({"clock": [1, 2]}, "memory.clock must have 1 = 1, not 2 (shape (2,))"),
        ({"momentum": [0, 1.5]}, "memory.momentum must be -1 to 1, not 1.5"),
        ({"last": [0, -1]}, "memory.last must be 0 to 1000000000000000.0, not -1.0"),
    ],
)
def test_wrong_states_are_refused(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        memory([[0] * 3] * 2, **arrays)
    with pytest.raises(InputError, match=r"^memory\.rows must be -65504\.0 to 65504\.0, not inf$"):
        memory([[0], [np.inf]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 0), "clusters must be 1 to 1048576, not 0"),
        ((1.5, 4, 0), "clusters must be an integer, not 1.5"),
        ((4, 4097, 0), "dimensions must be 1 to 4096, not 4097"),
        ((4, 4, -1), "seed must be an integer from 0 to 9223372036854775807, not -1"),
    ],
)
def test_wrong_sizes_of_new_memories_are_refused(arguments: tuple[Any, int, int], message: str) -> None:
    clusters, dimensions, seed = arguments
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        new_memory("m", clusters, dimensions, seed=seed)
