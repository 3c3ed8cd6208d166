"""Joining and splitting calls changes no answer."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ninefold.host.scheduler import batching
from ninefold.host.scheduler.batching import SMALL_BYTES, join, rows_of, share, stack, take
from ninefold.sim import golden
from ninefold.spec.data import Answer
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import Call

from .fakes import RUNNING_SUM, database, queries, total

DATA = database()


def mine(count: int, seed: int = 5, k: int = 3) -> Call:
    return OPERATORS["mine"].bind({"q": queries(count, seed=seed), "database": DATA}, {"k": k})


def answered(call: Call) -> Answer:
    return Answer(golden.answer(call), "golden", {"seconds": 1.0, "cycles": 10.0})


def joining_key(call: Call) -> object:
    return batching.joining_key(call, rows_of(call))


def same(a: Answer, b: Answer) -> bool:
    return all(np.array_equal(a.values[name], b.values[name]) for name in a.values)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_joined_and_shared_out_again(counts: list[int]) -> None:
    calls = [mine(count, seed) for seed, count in enumerate(counts)]
    assert len({joining_key(call) for call in calls}) == 1
    joined = join(calls)
    assert joined.sizes["Q"] == sum(counts)
    whole, first = answered(joined), 0
    for call in calls:
        rows = rows_of(call) or 0
        assert same(share(whole, slice(first, first + rows)), answered(call))
        first += rows


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.data())
def test_split_and_stacked_again(count: int, data: st.DataObject) -> None:
    call = mine(count)
    cut = data.draw(st.integers(0, count))
    parts = [take(call, slice(0, cut)), take(call, slice(cut, count))]
    assert [part.sizes["Q"] for part in parts] == [cut, count - cut]
    stacked = stack([answered(part) for part in parts if part.sizes["Q"]])
    assert same(stacked, answered(call))
    if 0 < cut < count:
        assert stacked.metrics == {"seconds": 1.0, "cycles": 20.0}


def test_what_is_not_joined() -> None:
    assert joining_key(mine(1)) != joining_key(mine(1, k=4))
    other = OPERATORS["mine"].bind({"q": queries(), "database": database()}, {"k": 3})
    assert joining_key(mine(1)) != joining_key(other)  # an equal database, but another one
    assert joining_key(mine(17)) is None
    assert joining_key(mine(0)) is None
    wide = np.zeros((1, 4096), np.float64)
    for x, joins in ((wide, True), (np.zeros((3, 1024), np.float64), True), (np.zeros((16, 4096)), False)):
        call = OPERATORS["quantise"].bind({"x": x}, {"scale": 1.0})
        assert (joining_key(call) is not None) == joins
    one_axis = OPERATORS["quantise"].bind({"x": np.zeros(8, np.float32)}, {"scale": 1.0})
    assert rows_of(one_axis) is None
    assert rows_of(OPERATORS["calibrate"].bind({"sample": queries(4)})) is None
    step = RUNNING_SUM.bind({"x": np.arange(3), "so_far": total()})
    assert rows_of(step) is None
    assert joining_key(step) is None


def test_only_calls_with_equal_masks_are_joined() -> None:
    rows = DATA.attributes["rows"]
    some = np.packbits(np.arange(int(rows)) % 3 > 0, bitorder="little")
    other = some.copy()
    other[1] ^= 1

    def masked(allowed: np.ndarray | None, seed: int) -> Call:
        return OPERATORS["mine"].bind({"q": queries(2, seed=seed), "database": DATA, "allowed": allowed}, {"k": 3})

    calls = [masked(some, 1), masked(some.copy(), 2), masked(other, 3), masked(None, 4)]
    keys = [joining_key(call) for call in calls]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    joined = answered(join(calls[:2]))
    for number, call in enumerate(calls[:2]):
        assert same(share(joined, slice(2 * number, 2 * number + 2)), answered(call))
    large = [np.full(SMALL_BYTES + 1, 255, np.uint8) for _ in range(2)]  # compared by identity, which costs no time
    wide = [Call(calls[0].operator, {**calls[0].arguments, "allowed": mask}, calls[0].options, {}) for mask in large]
    assert joining_key(wide[0]) == joining_key(wide[0])
    assert joining_key(wide[0]) != joining_key(wide[1])


def test_an_optional_argument_that_is_there_or_not() -> None:
    scores = np.arange(6, dtype=np.int32).reshape(2, 3)
    plain = OPERATORS["topk"].bind({"scores": scores}, {"k": 2})
    named = OPERATORS["topk"].bind({"scores": scores, "ids": np.array([7, 8, 9])}, {"k": 2})
    assert joining_key(plain) != joining_key(named)
    assert same(stack([answered(take(named, slice(0, 1))), answered(take(named, slice(1, 2)))]), answered(named))
