"""Shards of a search give the lists of the whole database, with ties by id."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.numerics.shards import MERGES, merge, shard
from ninefold.sim import golden
from ninefold.spec import signature
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call
from tests.conformance.data import clustered, mask


def search(rows: int, k: int, seed: int, **options: Any) -> Call:
    """A search of a clustered database; a mask of half the rows unless the seed is even."""
    generator = np.random.default_rng(seed)
    nits = generator.integers(-1, 2, (rows, 3)).astype(np.int8)
    q = generator.normal(0, 2, (2, 3)).astype(np.float32)
    given = {"q": q, "database": clustered(generator, nits)}
    if seed % 2:
        given["allowed"] = mask(generator, rows, 0.5)
    return OPERATORS["mine"].bind(given, {"k": k, **options})


def test_each_declared_merge_exists() -> None:
    assert set(MERGES) == set(signature.MERGES)


@settings(max_examples=90, deadline=None)
@given(
    st.integers(0, 30),
    st.integers(1, 6),
    st.integers(0, 99),
    st.sampled_from([{}, {"macro": 40, "micro": 9}]),
    st.sampled_from([{}, {"scan": "signs", "oversample": 1}, {"scan": "signs", "oversample": 3}]),
    st.data(),
)
def test_parts_merge_to_the_whole(
    rows: int, k: int, seed: int, lists: dict[str, int], scan: dict[str, Any], data: st.DataObject
) -> None:
    call = search(rows, k, seed, **lists, **scan)
    bounds = sorted(data.draw(st.lists(st.integers(0, rows), max_size=4)))
    parts = shard(call, bounds)
    for part in parts:  # each is a call that its own signature accepts
        assert part.operator.bind(part.arguments, part.options).sizes == part.sizes
    found, whole = merge(call, bounds, [golden.answer(part) for part in parts]), golden.answer(call)
    for name in whole:
        assert found[name].dtype == whole[name].dtype
        assert found[name].tolist() == whole[name].tolist()


def test_a_part_of_a_scan_of_signs_returns_candidates() -> None:
    call = search(20, 2, 1, scan="signs", oversample=4, macro=3, micro=2)
    first, second = shard(call, [11])
    assert first.operator is second.operator is OPERATORS["candidates"]
    assert first.options == second.options == {"keep": 8, "macro": 3, "micro": 2}
    bits = [np.unpackbits(p.arguments["allowed"], count=p.sizes["N"], bitorder="little") for p in (first, second)]
    whole = np.unpackbits(call.arguments["allowed"], count=20, bitorder="little")
    assert np.concatenate(bits).tolist() == whole.tolist()
    order, starts = (call.database().arrays[name] for name in ("order", "starts"))
    for number in range(len(starts) - 1):
        rows = [
            (p.database().arrays["order"][slice(*p.database().arrays["starts"][number : number + 2])] + at).tolist()
            for p, at in ((first, 0), (second, 11))
        ]
        assert rows[0] + rows[1] == order[starts[number] : starts[number + 1]].tolist()


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"^bounds must ascend from 0 to 9, not \[5, 3\]$"):
        shard(search(9, 2, 0), [5, 3])
    topk = OPERATORS["topk"].bind({"scores": np.zeros((1, 3), np.int32)}, {"k": 1})
    for refused in (lambda: shard(topk, [1]), lambda: merge(topk, [1], [])):
        with pytest.raises(InputError, match=r"^the database of topk may not be divided$"):
            refused()
