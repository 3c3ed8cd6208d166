"""Compare a backend's values with the golden model's, exactly or within the operator's bound."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ninefold.sim import golden
from ninefold.spec.data import Answer
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device
from ninefold.spec.signature import Bound, Call

from .cases import calls_of

__all__ = ["assert_golden", "difference", "expected"]


@cache
def expected(operator: str, case: str) -> dict[str, Any]:
    """Return the golden model's answer, computed once."""
    return golden.answer(calls_of(operator)[case])


def difference(call: Call, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the first difference with result name, element and both values; an empty string when there is none."""
    for result in call.operator.results:
        got, want = np.asarray(values[result.name]), np.asarray(wanted[result.name])
        if got.shape != want.shape or got.dtype != want.dtype:
            return f"{result.name} is {got.dtype}{got.shape}, not {want.dtype}{want.shape}"
        if isinstance(call.operator.tolerance, Bound):
            if text := _outside(call.operator.tolerance, got, want):
                return f"{result.name} {text}"
            continue
        # Floats are compared by value: only scores that were passed through come back, and -0 may stand for 0.
        wrong = np.argwhere(got != want)
        if len(wrong):
            at = tuple(wrong[0].tolist())
            return f"{result.name}{list(at)} is {got[at]}, not {want[at]} ({len(wrong)} differ)"
    return ""


def assert_golden(device: Device, operator: str, arguments: Mapping[str, Any], **options: Any) -> Answer:
    """Run a call on a device, compare it with the golden model, and return the answer."""
    call = OPERATORS[operator].bind(arguments, options)
    answer, wanted = device.run(call), golden.answer(call)
    assert set(answer.values) == set(wanted)
    assert difference(call, answer.values, wanted) == ""
    assert answer.path
    assert answer.metrics["seconds"] > 0
    return answer


def _outside(bound: Bound, got: Any, want: Any) -> str:
    if bound.measure != "cosine" or bound.at_least is None:
        raise NotImplementedError(f"no comparison for {bound}")
    lengths = np.linalg.norm(got, axis=-1) * np.linalg.norm(want, axis=-1)
    cosine = (got.astype(np.float64) * want).sum(axis=-1) / lengths
    return f"has cosine {cosine.min()}, not {bound}" if cosine.size and cosine.min() < bound.at_least else ""
