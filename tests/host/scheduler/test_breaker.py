"""The circuit breaker's transitions, by a clock that the test turns."""

from __future__ import annotations

import pytest

from ninefold.host.scheduler.breaker import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_five_consecutive_failures_open_it(clock: Clock) -> None:
    breaker = Breaker(clock)
    assert [breaker.fail("f") for _ in range(4)] == [False] * 4
    breaker.succeed()
    assert [breaker.fail("f") for _ in range(5)] == [False] * 4 + [True]
    assert breaker.state == "open"
    assert not breaker.allows


def test_one_trial_after_thirty_seconds_closes_it(clock: Clock) -> None:
    breaker = Breaker(clock)
    assert breaker.trip("link lost")
    assert breaker.refusal == "out of use for another 30 s: link lost"
    clock.now += 29.9
    assert not breaker.allows
    assert not breaker.begin()
    clock.now += 0.1
    assert breaker.allows
    assert breaker.begin()
    assert breaker.state == "half-open"
    assert not breaker.allows
    assert breaker.refusal == "on trial after: link lost"
    assert breaker.succeed()
    assert (breaker.state, breaker.reason, breaker.allows, breaker.refusal) == ("closed", "", True, "")


def test_a_failed_trial_opens_it_for_thirty_seconds_more(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.trip("first")
    clock.now += 30
    breaker.begin()
    assert breaker.fail("second")
    assert (breaker.state, breaker.reason) == ("open", "second")
    clock.now += 29
    assert not breaker.allows
    clock.now += 1
    assert breaker.allows


def test_a_trial_that_says_nothing_may_be_repeated(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.trip("first")
    clock.now += 30
    breaker.begin()
    breaker.abandon_trial()
    assert breaker.state == "open"
    assert breaker.begin()


def test_it_stays_open_while_a_call_hangs(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.hung += 1
    breaker.trip("hangs")
    clock.now += 1000
    assert not breaker.allows
    assert breaker.refusal == "out of use until a hung call returns: hangs"
    breaker.hung -= 1
    assert breaker.allows


def test_other_limits(clock: Clock) -> None:
    breaker = Breaker(clock, failures=2, cool_s=1)
    assert [breaker.fail("f"), breaker.fail("f")] == [False, True]
    assert not breaker.fail("again")  # open already
    clock.now += 1
    assert breaker.allows
