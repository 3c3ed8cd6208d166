"""Lists move between tiers as each policy says, and momentum keeps the topics of a drifting stream hot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ninefold.host.backends.cpu import Cpu
from ninefold.host.scheduler import Scheduler
from ninefold.host.tiers import (
    LeastFrequent,
    LeastRecent,
    Momentum,
    Placement,
    Policy,
    Tier,
    TierSizes,
    replay,
    similar_lists,
)
from ninefold.spec.errors import InputError

HOT, WARM, COLD = Tier
NOTHING = np.zeros(1, np.float32)


def moved(policy: Policy, uses: str, lists: int = 6, **settings: Any) -> tuple[list[Tier], list[list[int]]]:
    """Use the lists of a string one by one; return the tiers found, and the members of the hot and the warm tier."""
    placement = Placement(policy, lists, TierSizes(1, 2), **settings)
    found = []
    for time, number in enumerate(uses):
        found += placement.use([int(number)], NOTHING, time)
        placement.settle()
    return found, [placement.members(tier).tolist() for tier in (HOT, WARM)]


def test_the_last_uses_count() -> None:
    assert moved(LeastRecent(6), "0123") == ([COLD] * 4, [[3], [1, 2]])
    assert moved(LeastRecent(6), "01213") == ([COLD, COLD, COLD, WARM, COLD], [[3], [1, 2]])
    assert moved(LeastRecent(6), "0110") == ([COLD, COLD, HOT, WARM], [[0], [1]])


def test_the_number_of_uses_counts() -> None:
    assert moved(LeastFrequent(6), "00123") == ([COLD, HOT, COLD, COLD, COLD], [[0], [2, 3]])
    # Of equal numbers the last use counts: 1 leaves the warm tier, and list 2 is hotter than 0.
    assert moved(LeastFrequent(6), "001322") == ([COLD, HOT, COLD, COLD, COLD, WARM], [[2], [0, 3]])


def test_a_miss_brings_similar_lists() -> None:
    similar = np.array([[1, 2], [0, -1], [-1, -1], [-1, -1], [5, -1], [-1, -1]])
    placement = Placement(LeastRecent(6), 6, TierSizes(1, 3), similar)
    assert placement.use([0], NOTHING, 0.0) == [COLD]
    assert (placement.misses, placement.prefetched, placement.members(WARM).tolist()) == (1, 2, [0, 1, 2])
    assert placement.use([1], NOTHING, 1.0) == [WARM]
    # What was prefetched and never used leaves first.
    assert placement.use([4], NOTHING, 2.0) == [COLD]
    assert (placement.misses, placement.prefetched, placement.members(WARM).tolist()) == (2, 3, [0, 1, 4])


def test_lists_of_the_question_stay_although_they_are_many() -> None:
    placement = Placement(LeastFrequent(6), 6, TierSizes(1, 2))
    for _ in range(5):
        placement.use([0, 1], NOTHING, 0.0)
    assert placement.use([2, 3], NOTHING, 1.0) == [COLD, COLD]
    assert placement.members(WARM).tolist() == [2, 3]


class Fixed(LeastRecent):
    """A policy that wants lists of the cold tier."""

    def hottest(self, k: int) -> Any:
        return np.array([5, 0, 1])[:k]


def test_a_list_that_is_only_cold_does_not_become_hot() -> None:
    placement = Placement(Fixed(6), 6, TierSizes(3, 2))
    placement.use([0], NOTHING, 0.0)
    placement.settle()
    assert [placement.members(tier).tolist() for tier in Tier] == [[0], [], [1, 2, 3, 4, 5]]


def test_similar_lists() -> None:
    angles = np.radians([0, 10, 20, 40, 90, 200])
    centroids = (np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [2], [3], [1], [5], [1]]).astype(np.float32)
    # A cosine above 0.7 is an angle below 45.57 degrees.
    expected = [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0], [-1] * 3, [-1] * 3]
    found = similar_lists(centroids)
    assert [sorted(row) for row in found.tolist()] == [sorted(row) for row in expected]
    assert similar_lists(np.zeros((4, 2), np.float32)).tolist() == [[-1] * 3] * 4


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    with Scheduler(backends={"cpu": Cpu(threads=1)}, costs=None) as opened:  # type: ignore[dict-item]
        yield opened


def stream(count: int, lists: int = 60, dimensions: int = 16) -> tuple[Any, Any, Any]:
    """Questions about two topics of six lists, of which one changes every 150; every third is about any list."""
    rng = np.random.default_rng(12)
    centroids = rng.normal(0, 1, (lists, dimensions))
    topics = [0, 1]
    used = []
    for number in range(count):
        if number % 150 == 149:
            topics = [topics[1], int(rng.integers(lists // 6))]
        used.append(rng.integers(lists) if number % 3 == 0 else 6 * topics[rng.integers(2)] + rng.integers(6))
    vectors = centroids[used] + rng.normal(0, 0.3, (count, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.array(used)[:, None], vectors.astype(np.float32), 10.0 * np.arange(count)


def test_momentum_keeps_topics_hot_where_others_keep_stray_lists(scheduler: Scheduler) -> None:
    used, vectors, times = stream(900)
    sizes = TierSizes(8, 16)
    momentum = Momentum(scheduler, 60, 16, max_age_s=300.0, clean_every=20)
    rates = {
        name: replay(Placement(policy, 60, sizes), used, vectors, times)
        for name, policy in (("recent", LeastRecent(60)), ("frequent", LeastFrequent(60)), ("momentum", momentum))
    }
    for found in rates.values():
        assert found.hot + found.warm + found.cold == pytest.approx(1)
        assert found.reads == found.cold  # nothing is prefetched
    assert rates["momentum"].hot > 1.15 * rates["recent"].hot
    assert rates["momentum"].hot > 1.15 * rates["frequent"].hot
    assert rates["momentum"].cold < rates["frequent"].cold
    momentum.close()
    with pytest.raises(InputError, match="is no longer held"):
        momentum.hottest(1)


def test_stale_topics_cool_down(scheduler: Scheduler) -> None:
    momentum = Momentum(scheduler, 4, 8, max_age_s=100.0, clean_every=1)
    one = np.eye(8, dtype=np.float32)[0]
    for time in range(10):
        momentum.touched([2], one, float(time))
    assert momentum.hottest_momentum(4)[0].tolist() == [2]
    momentum.touched([1], one, 2000.0)
    assert momentum.hottest_momentum(4)[0].tolist() == []
    assert momentum.hottest(4).tolist() == [1, 2]  # used lists fill the tier


def test_three_questions_of_length_one_make_a_list_hot(scheduler: Scheduler) -> None:
    momentum = Momentum(scheduler, 4, 64)
    one = np.eye(64, dtype=np.float32)[0]
    for time in range(3):
        momentum.touched([2], one, float(time))
    assert momentum.hottest_momentum(4)[0].tolist() == [2]


def test_momentum_follows_the_order_that_suits_the_stream(scheduler: Scheduler) -> None:
    rng = np.random.default_rng(3)
    # Topics of six lists that change every 20 uses, for which the last use is best; and lists of fixed popularity.
    changing = 6 * np.repeat(rng.integers(0, 10, 30), 20) + rng.integers(0, 6, 600)
    popular = rng.choice(60, 600, p=(shares := 1 / np.arange(1, 61)) / shares.sum())
    vectors = rng.normal(0, 1, (60, 16)).astype(np.float32)
    for used, best in ((changing, LeastRecent(60)), (popular, LeastFrequent(60))):
        stream = used[:, None], vectors[used], 10.0 * np.arange(600)
        hot = [
            replay(Placement(policy, 60, TierSizes(8, 16)), *stream).hot
            for policy in (Momentum(scheduler, 60, 16, clean_every=1000), best)
        ]
        # It takes tens of uses to see which order is best.
        assert hot[0] >= hot[1] - 0.02


def test_lists_settle_every_few_questions() -> None:
    used, vectors, times = np.array([[0], [0], [0], [0]]), np.zeros((4, 1), np.float32), np.arange(4.0)
    assert replay(Placement(LeastRecent(2), 2), used, vectors, times, settle_every=2).hot == 0.5
    assert replay(Placement(LeastRecent(2), 2), used, vectors, times, settle_every=9).hot == 0
    assert replay(Placement(LeastRecent(2), 2), used[:0], vectors[:0], times[:0]).reads == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TierSizes(0, 1), "the hot tier must have 1 to 256 lists, not 0"),
        (lambda: TierSizes(257, 1), "the hot tier must have 1 to 256 lists, not 257"),
        (lambda: TierSizes(1.5, 1), "the number of hot lists must be an integer, not 1.5"),  # type: ignore[arg-type]
        (lambda: TierSizes(1, 0), "the warm tier must have at least 1 list, not 0"),
        (
            lambda: Placement(LeastRecent(3), 3, similar=np.zeros((2, 1), np.int64)),
            "similar must have a row for each of 3 lists, not 2",
        ),
    ],
)
def test_wrong_sizes_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make()


def test_wrong_settings_of_momentum_are_refused(scheduler: Scheduler) -> None:
    with pytest.raises(InputError, match=r"^clean_every must be at least 1, not 0$"):
        Momentum(scheduler, 4, 8, clean_every=0)
    momentum = Momentum(scheduler, 4, 8)
    momentum.touched([1], np.ones(8, np.float32), 5.0)
    with pytest.raises(InputError, match=r"^time must be at least 5\.0, the latest time of the memory, not 4\.0$"):
        momentum.touched([1], np.ones(8, np.float32), 4.0)
