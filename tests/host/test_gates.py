"""Quality gates stop at the first one that a quality does not pass, and say why."""

from __future__ import annotations

import re

import pytest

from ninefold.host.gates import GATES, Gate, Trial, pass_gates
from ninefold.spec.errors import InputError


def test_the_gates() -> None:
    assert [(gate.bits, gate.least) for gate in GATES] == [(8, 0.98), (6, 0.96), (4, 0.95)]


@pytest.mark.parametrize(
    ("qualities", "bits", "stopped"),
    [
        ({8: 0.5, 6: 0.49, 4: 0.475}, 4, "no gate is left"),
        ({8: 0.5, 6: 0.49, 4: 0.474}, 6, "4 bits keep 0.9480 of the baseline, and the gate is 0.95"),
        ({8: 0.49, 6: 0.4799}, 8, "6 bits keep 0.9598 of the baseline, and the gate is 0.96"),
        ({8: 0.4899}, None, "8 bits keep 0.9798 of the baseline, and the gate is 0.98"),
    ],
)
def test_where_it_stops(qualities: dict[int, float], bits: int | None, stopped: str) -> None:
    tried: list[int] = []

    def quality(count: int) -> float:
        tried.append(count)
        return qualities[count]

    report = pass_gates(quality, 0.5)
    assert (report.bits, report.stopped, report.baseline) == (bits, stopped, 0.5)
    assert tried == list(qualities) == [trial.gate.bits for trial in report.trials]
    assert [trial.passed for trial in report.trials] == [True] * (len(tried) - (stopped != "no gate is left")) + [
        False
    ] * (stopped != "no gate is left")
    assert report.trials[0] == Trial(Gate(8, 0.98), qualities[8], qualities[8] / 0.5, bits is not None)


@pytest.mark.parametrize("baseline", [0.0, -1.0, float("nan"), float("inf")])
def test_a_baseline_that_is_none_is_refused(baseline: float) -> None:
    message = f"the baseline must be a number above 0, not {baseline!r}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        pass_gates(lambda _: 1.0, baseline)
    with pytest.raises(InputError, match=r"^the quality at 8 bits must be a finite number, not nan$"):
        pass_gates(lambda _: float("nan"), 1.0)
