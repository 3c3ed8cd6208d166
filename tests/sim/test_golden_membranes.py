"""The golden models of leaky membranes against values worked out by hand, and what their signatures refuse."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from ninefold.sim import golden
from ninefold.sim.golden.membrane_update import leaked
from ninefold.spec.data import State
from ninefold.spec.errors import InputError
from ninefold.spec.membranes import COSINE_ONE, HOT_VOLTAGE, LEAK, MEMBRANES, VOLTAGE_ONE
from ninefold.spec.operators import OPERATORS

UPDATE, HOT = (OPERATORS[f"membrane_{name}"] for name in ("update", "hot"))


def membranes(*voltages: int) -> State:
    return MEMBRANES.state("by hand", {"voltage": np.array(voltages, np.int32)})


def updated(state: State, *updates: tuple[int, float]) -> list[int]:
    clusters, cosines = zip(*updates, strict=True)
    arguments = {"clusters": np.array(clusters, np.int64), "cosines": np.array(cosines, np.float32)}
    values, after = golden.step(UPDATE.bind({"state": state, **arguments}))
    assert values == {}
    assert after["voltage"].dtype == np.int32
    voltages: list[int] = after["voltage"].tolist()
    return voltages


def test_constants() -> None:
    assert (VOLTAGE_ONE, LEAK, COSINE_ONE, HOT_VOLTAGE) == (4_194_304, 410, 6560, 419_431)
    assert 64 * COSINE_ONE * 4096 == LEAK * VOLTAGE_ONE


@pytest.mark.parametrize(
    ("voltage", "after"), [(0, 0), (1, 0), (-1, 0), (9, 8), (-9, -8), (4096, 3686), (-4096, -3686), (2**22, 3_774_464)]
)
def test_decay_rounds_toward_zero(voltage: int, after: int) -> None:
    """9 * 3686 / 4096 = 8.09..., and 2**22 / 4096 = 1024 times 3686 is 3,774,464."""
    assert leaked(voltage) == after


def test_updates_by_hand() -> None:
    # 64 * 3280 = 209,920; floor(209,920 * 3686 / 4096) = 188,907 of 188,907.5, and 188,907 - 64 * 1640 = 83,947.
    assert updated(membranes(0, 5), (0, 0.5)) == [209_920, 5]
    assert updated(membranes(0, 5), (0, 0.5), (0, -0.25)) == [83_947, 5]
    assert updated(membranes(0, 0), (1, -1.0), (0, 1.0)) == [419_840, -419_840]


def test_a_cosine_of_one_holds_a_momentum_of_one() -> None:
    assert updated(membranes(VOLTAGE_ONE, -VOLTAGE_ONE), (0, 1.0), (1, -1.0)) == [VOLTAGE_ONE, -VOLTAGE_ONE]


def test_cosines_are_rounded_to_the_nearest_even_weight() -> None:
    # 6560 / 2**10 = 6.40625, and 6560 / 2**6 = 102.5, 3 times that 307.5.
    state = membranes(0, 0, 0, 0)
    assert updated(state, (0, 2.0**-10), (1, 2.0**-6), (2, 3 * 2.0**-6), (3, -(2.0**-6))) == [
        64 * 6,
        64 * 102,
        64 * 308,
        64 * -102,
    ]


def test_hot_clusters_by_hand() -> None:
    state = membranes(419_430, 419_431, 500_000, -4_000_000, 500_000)
    values = golden.answer(HOT.bind({"state": state}, {"k": 4}))
    assert values["ids"].tolist() == [2, 4, 1, -1]
    assert values["voltage"].tolist() == [500_000, 500_000, 419_431, -(2**31)]
    assert values["count"] == 3


@pytest.mark.parametrize(
    ("clusters", "cosines", "message"),
    [
        ([2], [0.0], "clusters must be 0 to 1, not 2"),
        ([-1], [0.0], "clusters must be 0 to 1, not -1"),
        ([0], [1.5], "cosines must be -1 to 1, not 1.5"),
        ([0], [np.nan], "nan"),
        ([0, 1], [0.5], "B"),
    ],
)
def test_bad_updates_are_refused(clusters: Any, cosines: Any, message: str) -> None:
    arguments = {"clusters": np.array(clusters, np.int64), "cosines": np.array(cosines, np.float32)}
    with pytest.raises(InputError, match=f"(?i){re.escape(message)}"):
        UPDATE.bind({"state": membranes(0, 0), **arguments})


def test_voltages_above_one_are_refused() -> None:
    with pytest.raises(InputError, match=r"voltage must be -4194304 to 4194304, not 4194305"):
        membranes(VOLTAGE_ONE + 1)
