"""Figures of benchmarks: statistics worked by hand, targets, and what is refused."""

import pytest

from ninefold.spec.benchmark import Benchmark, Figure, Request, summary
from ninefold.spec.errors import InputError


@pytest.mark.parametrize(
    ("values", "median", "spread"),
    [
        ([7.0], 7.0, 0.0),
        ([1.0, 3.0], 2.0, 1.0),  # quartiles 1.5 and 2.5
        ([5.0, 1.0, 2.0, 4.0, 3.0], 3.0, 2.0),  # 2 and 4
        ([10.0, 1.0, 2.0, 3.0], 2.5, 3.0),  # 1.75 and 4.75
        ([2.0] * 9, 2.0, 0.0),
    ],
)
def test_median_and_distance_of_quartiles(values: list[float], median: float, spread: float) -> None:
    assert summary(values) == (median, spread)


def test_no_values() -> None:
    with pytest.raises(InputError, match="at least one value, not 0"):
        summary([])


def test_a_timed_figure() -> None:
    figure = Figure.timed("search", "cpu", "time", [5, 1, 2, 4, 3], "ms", parameters={"rows": 10}, target="<= 3")
    assert (figure.value, figure.spread, figure.repetitions, figure.kind) == (3, 2, 5, "timed")
    assert figure.met is True
    assert figure.key == ("search", "cpu", "time", "ms", ("rows", 10))


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        ("", 1, None),
        ("<= 0.75", 0.75, True),
        ("<= 0.75", 0.76, False),
        ("< 2", 2, False),
        (">= 200", 199.9, False),
        ("> 1", 2, True),
        ("= 3", 3, True),
    ],
)
def test_targets(target: str, value: float, met: bool | None) -> None:
    assert Figure("a", "b", "c", value, "", target=target).met is met


def test_beside_a_peer_the_ratio_is_judged() -> None:
    figure = Figure("a", "b", "c", 10.0, "ms", beside="peer", ratio=0.5, target="<= 0.75")
    assert figure.judged == 0.5
    assert figure.met


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ({"target": "fast"}, "target must be a comparison with a number, such as '<= 0.75', not 'fast'"),
        ({"beside": "peer"}, "ratio and beside come together, not None beside 'peer'"),
        ({"ratio": 1.0}, "ratio and beside come together, not 1.0 beside ''"),
        ({"task": "a task"}, "a task must be beside a peer, and 'a task' has none"),
        ({"repetitions": 0}, "repetitions must be at least 1, not 0"),
    ],
)
def test_bad_figures(rest: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Figure("a", "b", "c", 1.0, "", **rest)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_requests() -> None:
    with pytest.raises(InputError, match="size must be one of tiny, small, large, not 'huge'"):
        Request("huge")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        Request(threads=0)
    request = Request(devices=("cpu", "opencl:1", "opencl"))
    assert request.of_backend("opencl") == ("opencl:1", "opencl")


def test_which_devices_a_benchmark_measures() -> None:
    assert Benchmark(lambda _: []).measures(())
    assert not Benchmark(lambda _: []).measures(("cpu",))
    assert Benchmark(lambda _: [], backends=("opencl",)).measures(("cpu", "opencl:1"))
    assert Benchmark(lambda _: [], backends=("*",)).measures(("cpu",))
    assert Benchmark(lambda request: [request.size])() == ["small"]  # type: ignore[list-item, comparison-overlap]
