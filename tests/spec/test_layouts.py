"""Declared contents of residents: checked when made, when bound, and when a step returns the next version."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ninefold.spec.data import Database, State
from ninefold.spec.errors import InputError
from ninefold.spec.operators.mine import DATABASE
from ninefold.spec.signature import Layout, Option, Resident, Tensor

MEMORY = Layout(
    "memory",
    (
        Tensor("rows", ("C", "D"), ("float16",), doc="rows"),
        Tensor("heat", ("C",), ("float32",), low=0, doc="heat"),
        Tensor("names", ("C",), ("uint8",), optional=True, doc="names"),
    ),
    (Option("seed", int, 0, low=0), Option("clusters", int, Option.REQUIRED, low=1)),
    {"clusters": "C"},
)
GOOD = {"rows": np.zeros((2, 3), np.float16), "heat": np.zeros(2, np.float32)}


def made(**changed: Any) -> State:
    arrays = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return State("m", 0, arrays, {"clusters": 2})


def test_sizes_come_from_attributes_and_arrays_once() -> None:
    state = MEMORY.state("m", GOOD, {"clusters": 2})
    assert (state.version, state.nbytes) == (0, 20)
    assert MEMORY.sizes_of(state) == {"C": 2, "D": 3}
    assert MEMORY.sizes_of(state) is MEMORY.sizes_of(state)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rubbish": np.zeros(1)}, "memory may hold rows, heat, names, not 'rubbish'"),
        ({"heat": None}, "memory must hold 'heat'; it holds rows"),
        ({"rows": [[1.0]]}, "memory.rows must be an array, not list"),
        ({"rows": np.zeros((2, 3))}, "memory.rows must have dtype float16, not float64"),
        ({"rows": np.zeros((3, 3), np.float16)}, "memory.rows must have C = 2, not 3 (shape (3, 3))"),
        ({"heat": np.zeros((2, 1), np.float32)}, "memory.heat must have shape (C,), not (2, 1)"),
        ({"heat": np.array([0, np.nan], np.float32)}, "memory.heat must not contain NaN"),
        ({"heat": np.array([0, -1], np.float32)}, "memory.heat must be at least 0, not -1.0"),
        ({"names": np.zeros(3, np.uint8)}, "memory.names must have C = 2, not 3 (shape (3,))"),
    ],
)
def test_wrong_contents(changed: Mapping[str, Any], message: str) -> None:
    state = made(**changed)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        MEMORY.state("m", state.arrays, state.attributes)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Resident("memory", "state", MEMORY).check(state, {})
    after = MEMORY.state("m", GOOD, {"clusters": 2}).next(state.arrays)
    assert MEMORY.flaw(MEMORY.state("m", GOOD, {"clusters": 2}), after) == message


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "memory must have the attribute clusters"),
        ({"clusters": 0}, "clusters must be an integer of at least 1, not 0"),
        ({"clusters": 2, "seed": 1.5}, "seed must be an integer of at least 0, not 1.5"),
        ({"clusters": 2, "colour": 1}, "attributes of memory are seed, clusters, not 'colour'"),
    ],
)
def test_wrong_attributes(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        MEMORY.state("m", GOOD, attributes)


def test_the_next_version() -> None:
    before = MEMORY.state("m", GOOD, {"clusters": 2})
    assert MEMORY.flaw(before, before.next(GOOD)) == ""
    assert MEMORY.flaw(before, before) == "it returned version 0 of m, not version 1 of m"
    assert MEMORY.flaw(before, State("n", 1, GOOD, {"clusters": 2})) == "it returned version 1 of n, not version 1 of m"
    wider = {**GOOD, "rows": np.zeros((2, 4), np.float16)}
    assert MEMORY.flaw(before, before.next(wider)) == "memory has D = 4, not 3"


def test_the_database_of_a_search() -> None:
    attributes: dict[str, Any] = {"rows": 2, "dimensions": 5, "scale": 1.0, "mode": "tanh"}
    nits = np.zeros((2, 3), np.uint8)
    assert DATABASE.sizes_of(Database({"nits": nits}, attributes)) == {"N": 2, "D": 5}
    for changed, message in (
        ({"nits": nits[:, :2]}, "database.nits must have ceil(D / 2) = 3, not 2 (shape (2, 2))"),
        ({"nits": nits[:1]}, "database.nits must have N = 2, not 1 (shape (1, 3))"),
        (
            {"nits": nits, "vectors": np.zeros((2, 5), np.float32)},
            "database.vectors must have dtype float16, not float32",
        ),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            DATABASE.sizes_of(Database(changed, attributes))
    # A memory-mapped database may be larger than memory: its values are not read here.
    DATABASE.sizes_of(Database({"nits": nits, "vectors": np.full((2, 5), np.nan, np.float16)}, attributes))
