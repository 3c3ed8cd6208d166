"""Joining of small calls and splitting of large ones along independent rows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np

from ninefold.numerics import rows
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

__all__ = ["JOINED_ROWS", "SMALL_BYTES", "join", "joining_key", "rows_of", "share", "stack", "take"]

#: Limits of rows and bytes of a call that can be joined, and of rows of the joined call.
SMALL_ROWS: Final = 16
SMALL_BYTES: Final = 1 << 16
JOINED_ROWS: Final = 256


def rows_of(call: Call) -> int | None:
    """Return the number of rows into which a call can be split; None if it cannot be split."""
    operator = call.operator
    if not operator.rowed or operator.stateful:
        return None
    first = call.arguments[operator.rowed[0]]
    # With "..." for rows, an array of one axis has no rows.
    if operator.rows == "..." and len(first.shape) == 1:
        return None
    return rows.count(first)


def joining_key(call: Call, number: int | None) -> Hashable | None:
    """Return a key that is equal for calls that can be joined; None if the call is too large or cannot be joined."""
    if number is None or not 0 < number <= SMALL_ROWS:
        return None
    rowed = call.operator.rowed
    parts: list[Hashable] = [call.operator.name, *call.options.values()]
    for name, value in call.arguments.items():
        if name not in rowed:
            parts.append(_identity(value))
        elif value is not None:
            if rows.size(value) > SMALL_BYTES:
                return None
            parts.append(rows.form(value))
    return tuple(parts)


def _identity(value: Any) -> Hashable:
    """Return a key that is equal for arguments that calls can share: equal small arrays (masks), or one object."""
    if isinstance(value, np.ndarray) and value.nbytes <= SMALL_BYTES:
        return value.shape, value.dtype, value.tobytes()
    return id(value)


def join(calls: Sequence[Call]) -> Call:
    """Return one call with the rows of all calls, which have the same `joining_key`."""
    first = calls[0]
    arguments = dict(first.arguments)
    for name in _present(first):
        arguments[name] = rows.join([call.arguments[name] for call in calls])
    return _with_rows(first, arguments)


def take(call: Call, part: slice) -> Call:
    """Return a call with some of the rows."""
    arguments = dict(call.arguments)
    for name in _present(call):
        arguments[name] = rows.take(arguments[name], part)
    return _with_rows(call, arguments)


def share(answer: Answer, part: slice) -> Answer:
    """Return the part of an answer that belongs to some of the rows."""
    values = {name: rows.take(value, part) for name, value in answer.values.items()}
    return Answer(values, answer.path, answer.metrics)


def stack(answers: Sequence[Answer]) -> Answer:
    """Return the answers of a split call as one; metrics are added, except seconds, whose maximum is used."""
    values = {name: rows.join([answer.values[name] for answer in answers]) for name in answers[0].values}
    metrics: dict[str, float] = {}
    for answer in answers:
        for name, value in answer.metrics.items():
            metrics[name] = max(metrics.get(name, 0.0), value) if name == "seconds" else metrics.get(name, 0) + value
    return Answer(values, ", ".join(dict.fromkeys(a.path for a in answers)), metrics)


def _present(call: Call) -> list[str]:
    return [name for name in call.operator.rowed if call.arguments[name] is not None]


def _with_rows(call: Call, arguments: dict[str, Any]) -> Call:
    sizes = dict(call.sizes)
    axis = call.operator.rows
    if axis in sizes:
        sizes[axis] = rows.count(arguments[call.operator.rowed[0]])
    return Call(call.operator, arguments, call.options, sizes)
