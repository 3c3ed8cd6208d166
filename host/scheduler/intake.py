"""From what a user writes to a checked task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ninefold.spec.data import State, Task
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import KINDS
from ninefold.spec.signature import Call, Operator

from .handles import DatabaseHandle, StateHandle

__all__ = ["bound", "checked", "task_of"]

#: Keywords that are about the task, not about the operator.
_SETTINGS: Final = ("device", "strict", "prefer", "priority", "deadline_s", "timeout_s")


def checked(task: Task, operators: Mapping[str, Operator]) -> Operator:
    """Return the operator of a task; raise `InputError` where it is unknown or a setting is not allowed."""
    if task.operator not in operators:
        raise InputError(f"operator must be one of {', '.join(operators)}, not {task.operator!r}")
    if task.priority not in range(1, 11):
        raise InputError(f"priority must be an integer from 1 to 10, not {task.priority!r}")
    if task.prefer is not None and task.prefer not in KINDS:
        raise InputError(f"prefer must be one of {', '.join(KINDS)}, not {task.prefer!r}")
    for name in ("deadline_s", "timeout_s"):
        seconds = getattr(task, name)
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            raise InputError(f"{name} must be a number greater than 0, not {seconds!r}")
    return operators[task.operator]


def task_of(signature: Operator, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Task:
    """Return the task for arguments in the operator's order, and keywords: arguments, options and settings."""
    names = [argument.name for argument in signature.arguments]
    if len(arguments) > len(names):
        raise InputError(f"{signature.name} takes {len(names)} arguments ({', '.join(names)}), not {len(arguments)}")
    given = dict(zip(names, arguments, strict=False))
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in given:
            raise InputError(f"{signature.name} was given the argument {name} twice")
        (settings if name in _SETTINGS else given if name in names else options)[name] = value
    return Task(signature.name, given, options, **settings)


def bound(signature: Operator, task: Task) -> Call:
    """Bind a task's arguments, residents in the place of their handles; a state in its latest version."""
    resolved = dict(task.arguments)
    for name, value in task.arguments.items():
        if isinstance(value, DatabaseHandle):
            resolved[name] = value.database
        elif isinstance(value, StateHandle):
            resolved[name] = value.state
        elif isinstance(value, State):
            raise InputError(f"{signature.name} takes {name} by handle: load the state {value.id} first")
    return signature.bind(resolved, task.options)
