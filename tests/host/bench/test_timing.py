"""Taking turns, by a clock that only the contenders move."""

from __future__ import annotations

from collections.abc import Callable

from ninefold.host.bench.timing import Times, interleaved


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[str] = []

    def __call__(self) -> float:
        return self.now

    def contender(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.ran.append(name)
            self.now += seconds

        return run


def test_turns_each_after_an_untimed_call() -> None:
    clock = Clock()
    times = interleaved({"a": clock.contender("a", 2.0), "b": clock.contender("b", 1.0)}, 2, clock=clock)
    assert clock.ran == ["a", "a", "b", "b"] * 2
    assert times.seconds == {"a": [2.0, 2.0], "b": [1.0, 1.0]}
    assert times.rounds == 2


def test_a_budget_leaves_three_rounds() -> None:
    clock = Clock()
    assert interleaved({"a": clock.contender("a", 2.0)}, 50, budget_s=1.0, clock=clock).rounds == 3
    assert interleaved({"a": clock.contender("a", 2.0)}, 50, budget_s=20.0, clock=clock).rounds == 5


def test_ratios_of_medians_and_their_spread() -> None:
    times = Times({"a": [1.0, 2.0, 6.0], "b": [1.0, 4.0, 4.0]})
    # Medians 2 and 4; ratios of rounds 1, 0.5, 1.5 with quartiles 0.75 and 1.25.
    assert times.ratio("a", "b") == (0.5, 0.5)
    figure = times.figure("search", "a", {"rows": 3}, beside="b", target="<= 0.75")
    assert (figure.value, figure.unit, figure.ratio, figure.ratio_spread, figure.repetitions) == (
        2e3,
        "ms",
        0.5,
        0.5,
        3,
    )
    assert figure.met
    assert times.figure("search", "b", {}, better="").ratio is None
