"""Regressions: what counts as one, what as noise, and which runs cannot be compared."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ninefold.host.bench.compare import compare, threshold
from ninefold.spec.benchmark import Figure
from ninefold.spec.errors import InputError
from tests.host.bench.made_up import MACHINE, run

BESIDE = Figure("s", "cpu", "time", 5.0, "ms", better="less", beside="peer", ratio=0.5, repetitions=9)
ALONE = Figure("s", "cpu", "rate", 100.0, "1/s", better="more", repetitions=9)
EXACT = Figure("s", "core", "cycles", 100, "cycles", kind="exact", better="less")
PEER = Figure("s", "peer", "time", 10.0, "ms", repetitions=9)


@pytest.mark.parametrize(
    ("old", "new", "verdict", "worse"),
    [
        # Beside a peer only the ratio counts, whatever the time; 10 % is noise.
        (BESIDE, replace(BESIDE, value=50.0), "same", 1.0),
        (BESIDE, replace(BESIDE, ratio=0.54), "same", 1.08),
        (BESIDE, replace(BESIDE, ratio=0.56), "regression", 1.12),
        (BESIDE, replace(BESIDE, ratio=0.4), "improvement", 0.8),
        # Without one 25 % is.
        (ALONE, replace(ALONE, value=81.0), "same", 100 / 81),
        (ALONE, replace(ALONE, value=79.0), "regression", 100 / 79),
        (ALONE, replace(ALONE, value=130.0), "improvement", 100 / 130),
        # What is exact has no noise.
        (EXACT, replace(EXACT, value=101), "regression", 1.01),
        (EXACT, replace(EXACT, value=99), "improvement", 0.99),
        (EXACT, EXACT, "same", 1.0),
        (replace(EXACT, value=0), replace(EXACT, value=1), "regression", math.inf),
        (replace(EXACT, value=0), replace(EXACT, value=0), "same", 1.0),
    ],
)
def test_verdicts(old: Figure, new: Figure, verdict: str, worse: float) -> None:
    (change,) = compare(run(old), run(new)).changes
    assert change.verdict == verdict
    assert change.worse == pytest.approx(worse, abs=1e-12)


def test_noise_is_three_standard_errors_of_the_difference() -> None:
    # A spread of 30 % in 9 repetitions: a standard error of 0.3 * 0.92907 / 3 each, times sqrt(2), times 3.
    old = new = replace(BESIDE, ratio_spread=0.15)
    expected = 3 * math.sqrt(2) * 0.3 * math.sqrt(math.pi / 2) / 1.349 / 3
    assert threshold(old, new) == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(0.3942, abs=1e-4)
    for ratio, regressions in ((0.69, 0), (0.70, 1)):
        slower = replace(new, ratio=ratio, ratio_spread=0.3 * ratio)
        assert len(compare(run(old), run(slower)).regressions) == regressions
    assert threshold(BESIDE, BESIDE) == 0.10
    assert threshold(ALONE, ALONE) == 0.25


def test_peers_are_not_judged() -> None:
    assert compare(run(PEER), run(replace(PEER, value=100.0))).changes == ()


def test_a_ratio_is_not_compared_with_a_time() -> None:
    assert compare(run(BESIDE), run(replace(BESIDE, beside="", ratio=None))).changes == ()


def test_ratios_to_other_peers_are_not_compared() -> None:
    assert compare(run(BESIDE), run(replace(BESIDE, beside="another"))).changes == ()


def test_what_is_gone_and_what_is_new() -> None:
    found = compare(run(BESIDE, EXACT), run(BESIDE, replace(ALONE, parameters={"rows": 9})))
    assert found.gone == ("search: s, core, cycles",)
    assert found.added == ("search: s, cpu, rate (rows 9)",)
    assert len(found.changes) == 1
    other = compare(run(BESIDE), run(BESIDE, suite="topk"))
    assert (other.changes, other.gone, other.added) == ((), (), ())
    assert other.notes == ("topk is not in the earlier run",)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="the earlier run has size tiny, this one small"):
        compare(run(BESIDE, size="tiny"), run(BESIDE, size="small"), any_machine=True)


def test_other_machines_are_refused_unless_told() -> None:
    old = run(BESIDE, machine=replace(MACHINE, processor="another"), threads=4)
    with pytest.raises(InputError) as caught:
        compare(old, run(BESIDE))
    assert str(caught.value) == (
        "the earlier run differs: processor another there, a processor here; 4 threads there, 2 here; "
        "--any-machine compares them anyway"
    )
    assert compare(old, run(BESIDE), any_machine=True).notes[0].startswith("the earlier run differs: processor another")


def test_other_packages_and_kernels_are_said() -> None:
    new = run(BESIDE, packages={"numpy": "2.1", "faiss-cpu": "1"}, machine=replace(MACHINE, system="Linux 7"))
    assert compare(run(BESIDE), new).notes == (
        "faiss-cpu: none in the earlier run, 1 now",
        "numpy: 2.0 in the earlier run, 2.1 now",
    )
