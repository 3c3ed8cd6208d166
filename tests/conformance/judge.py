"""Golden answers of the cases, and comparison of single calls."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ninefold.sim import golden
from ninefold.sim.conformance import difference
from ninefold.spec.data import Answer
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device
from ninefold.spec.residents import load_and_run

from .cases import calls_of

__all__ = ["assert_golden", "expected"]


@cache
def expected(operator: str, case: str) -> dict[str, Any]:
    """Return the golden model's answer, computed once."""
    return golden.answer(calls_of(operator)[case])


def assert_golden(device: Device, operator: str, arguments: Mapping[str, Any], **options: Any) -> Answer:
    """Run a call on a device, compare it with the golden model, and return the answer."""
    call = OPERATORS[operator].bind(arguments, options)
    answer, wanted = load_and_run(device, call), golden.answer(call)
    assert difference(call, answer.values, wanted) == ""
    assert answer.path
    assert answer.metrics["seconds"] > 0
    return answer
