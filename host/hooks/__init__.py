"""Hooks of operators: work of the host before and after a device, and spot checks, found by scanning.

A module has the name of its operator and defines any of

``before(call) -> Call | Answer``
    Call for the device, or the answer if there is nothing to compute.
``after(call, answer) -> Answer``
    Final answer from the device's answer; `call` is the user's call.
``check(call, answer, generator) -> str``
    Spot check of a device's answer to the call it was given: recomputes part of it and returns the fault found, or an
    empty string. Shapes and dtypes are checked before.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from ninefold.spec.data import Answer
from ninefold.spec.formats import INT32_MIN, NO_ID
from ninefold.spec.signature import Call, Tensor

__all__ = ["SAMPLED_ROWS", "after", "before", "check", "empty_lists", "shape_of"]

#: Number of rows that a spot check recomputes.
SAMPLED_ROWS = 64


def before(call: Call) -> Call | Answer:
    """Return the call for the device, or the answer if no device is needed."""
    hook = _hooks("before").get(call.operator.name)
    found: Call | Answer = call if hook is None else hook(call)
    return found


def after(call: Call, answer: Answer) -> Answer:
    """Return the final answer to `call` from a device's answer to the result of `before`."""
    hook = _hooks("after").get(call.operator.name)
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
    if text := _misshapen(call, answer.values):
        return text
    hook = _hooks("check").get(call.operator.name)
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


def _misshapen(call: Call, values: Mapping[str, Any]) -> str:
    names = [result.name for result in call.operator.results]
    if sorted(values) != sorted(names):
        return f"it holds {', '.join(values) or 'nothing'}, not {', '.join(names)}"
    for result in call.operator.results:
        value = values[result.name]
        if getattr(value, "dtype", None) is None or value.dtype.name not in result.dtypes:
            return f"{result.name} is {getattr(value, 'dtype', type(value).__name__)}, not {' or '.join(result.dtypes)}"
        wanted = shape_of(result, call)
        if tuple(value.shape) != wanted:
            return f"{result.name} has shape {tuple(value.shape)}, not {wanted}"
    return ""


def shape_of(result: Tensor, call: Call) -> tuple[int, ...]:
    """Return the shape of a result, from sizes and options of the call and leading axes of its first argument."""
    shape: list[int] = []
    for symbol in result.shape:
        if isinstance(symbol, int):
            shape.append(symbol)
        elif symbol == "...":
            first = next(iter(call.arguments.values()))
            shape.extend(first.shape[: len(first.shape) - len(result.shape) + 1])
        else:
            shape.append(call.sizes[symbol] if symbol in call.sizes else call.options[symbol])
    return tuple(shape)


@cache
def _hooks(kind: str) -> Mapping[str, Callable[..., Any]]:
    names = [info.name for info in pkgutil.iter_modules(__path__)]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return MappingProxyType({name: getattr(m, kind) for name, m in modules.items() if hasattr(m, kind)})
