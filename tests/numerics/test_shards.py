"""Shards of a search give the lists of the whole database, with ties by id."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.numerics.nits import pack
from ninefold.numerics.shards import MERGES, merge, shard
from ninefold.sim import golden
from ninefold.spec import signature
from ninefold.spec.data import Database
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call


def search(rows: int, k: int, seed: int) -> Call:
    generator = np.random.default_rng(seed)
    nits = generator.integers(-1, 2, (rows, 3)).astype(np.int8)
    attributes = {"rows": rows, "dimensions": 3, "scale": 1.0, "mode": "linear"}
    q = generator.normal(0, 2, (2, 3)).astype(np.float32)
    return OPERATORS["mine"].bind({"q": q, "database": Database({"nits": pack(nits)}, attributes)}, {"k": k})


def test_each_declared_merge_exists() -> None:
    assert set(MERGES) == set(signature.MERGES)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 99), st.data())
def test_parts_merge_to_the_whole(rows: int, k: int, seed: int, data: st.DataObject) -> None:
    call = search(rows, k, seed)
    bounds = sorted(data.draw(st.lists(st.integers(0, rows), max_size=4)))
    parts = shard(call, bounds)
    for part in parts:  # each is a call that its own signature accepts
        assert part.operator.bind(part.arguments, part.options).sizes == part.sizes
    found, whole = merge(call, bounds, [golden.answer(part) for part in parts]), golden.answer(call)
    for name in whole:
        assert found[name].dtype == whole[name].dtype
        assert found[name].tolist() == whole[name].tolist()


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"^bounds must ascend from 0 to 9, not \[5, 3\]$"):
        shard(search(9, 2, 0), [5, 3])
    topk = OPERATORS["topk"].bind({"scores": np.zeros((1, 3), np.int32)}, {"k": 1})
    for refused in (lambda: shard(topk, [1]), lambda: merge(topk, [1], [])):
        with pytest.raises(InputError, match=r"^the database of topk may not be divided$"):
            refused()
