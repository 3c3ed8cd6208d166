"""Hooks of operators: work of the host before and after a device, and spot checks, found by scanning.

A module has the name of its operator (``hooks`` in the package of another's operator) and defines any of

``before(call) -> Call | Answer``
    Call for the device, or the answer if there is nothing to compute, for a step with the next state in it.
``after(call, answer) -> Answer``
    Final answer from the device's answer; `call` is the user's call.
``check(call, answer, generator) -> str``
    Spot check of a device's answer to the call it was given: recomputes part of it and returns the fault found, or an
    empty string. The answer to a step holds the next state. Shapes, dtypes and ranges are checked before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.operators import module_of
from ninefold.spec.signature import Call, Operator

__all__ = ["SAMPLED_ROWS", "after", "before", "check", "defines", "empty_lists"]

#: Number of rows that a spot check recomputes.
SAMPLED_ROWS = 64


def defines(kind: str, operator: Operator) -> bool:
    """Return True if an operator has a hook: ``before``, ``after`` or ``check``."""
    return _hook_of(operator, kind) is not None


def before(call: Call) -> Call | Answer:
    """Return the call for the device, or the answer if no device is needed."""
    hook = _hook_of(call.operator, "before")
    found: Call | Answer = call if hook is None else hook(call)
    return found


def after(call: Call, answer: Answer) -> Answer:
    """Return the final answer to `call` from a device's answer to the result of `before`."""
    hook = _hook_of(call.operator, "after")
    found: Answer = answer if hook is None else hook(call, answer)
    return found


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Return the fault that a spot check finds in an answer, or an empty string.

    Parameters
    ----------
    call : Call
        Call that the device received.
    answer : Answer
        Answer of the device.
    generator : numpy.random.Generator
        Generator that chooses the rows to recompute, at most `SAMPLED_ROWS`.
    """
    if text := call.operator.answer_flaw(call, answer.values):
        return text
    hook = _hook_of(call.operator, "check")
    return "" if hook is None else str(hook(call, answer, generator))


def empty_lists(queries: int, k: int, dtype: Any) -> Answer:
    """Return ids, scores and count of searches without results.

    Parameters
    ----------
    queries, k : int
        Shape of the lists.
    dtype : dtype
        Type of the scores; empty slots hold INT32_MIN, or minus infinity for floats.
    """
    nothing = -np.inf if np.dtype(dtype).kind == "f" else INT32_MIN
    ids = np.full((queries, k), NO_ID, np.int64)
    scores = np.full((queries, k), nothing, dtype)
    return Answer({"ids": ids, "scores": scores, "count": np.zeros(queries, np.int64)}, path="host")


@cache
def _hook_of(operator: Operator, kind: str) -> Callable[..., Any] | None:
    hook: Callable[..., Any] | None = getattr(module_of(operator.name, __name__, "hooks"), kind, None)
    return hook
