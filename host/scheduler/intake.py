"""Conversion of a user's arguments to a checked task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ninefold.spec.data import State, Task
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import KINDS
from ninefold.spec.signature import Call, Operator

from .handles import DatabaseHandle, StateHandle

__all__ = ["bound", "check_settings", "signature_of", "task_of"]

#: Keywords that are settings of the task, not options of the operator.
_SETTINGS: Final = ("device", "strict", "prefer", "priority", "deadline_s", "timeout_s")


def signature_of(name: str, operators: Mapping[str, Operator]) -> Operator:
    """Return the operator with a name; raise `InputError` if there is none."""
    if (signature := operators.get(name)) is None:
        raise InputError(f"operator must be one of {', '.join(operators)}, not {name!r}")
    return signature


def check_settings(task: Task) -> None:
    """Raise `InputError` if a setting of a task is not allowed."""
    if not (isinstance(task.priority, int) and 1 <= task.priority <= 10):
        raise InputError(f"priority must be an integer from 1 to 10, not {task.priority!r}")
    if task.prefer is not None and task.prefer not in KINDS:
        raise InputError(f"prefer must be one of {', '.join(KINDS)}, not {task.prefer!r}")
    if task.deadline_s is None and task.timeout_s is None:
        return
    for name, seconds in (("deadline_s", task.deadline_s), ("timeout_s", task.timeout_s)):
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            raise InputError(f"{name} must be a number greater than 0, not {seconds!r}")


def task_of(signature: Operator, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Task:
    """Return the task for arguments in the operator's order, and keywords: arguments, options and settings."""
    names = signature.argument_names
    if len(arguments) > len(names):
        raise InputError(f"{signature.name} takes {len(names)} arguments ({', '.join(names)}), not {len(arguments)}")
    given = dict(zip(names, arguments, strict=False))
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in _SETTINGS:
            settings[name] = value
        elif name in given:
            raise InputError(f"{signature.name} was given the argument {name} twice")
        elif name in names:
            given[name] = value
        else:
            options[name] = value
    return Task(signature.name, given, options, **settings)


def bound(signature: Operator, task: Task) -> Call:
    """Bind a task's arguments, with handles replaced by their residents and states in their latest version."""
    arguments = task.arguments
    for name in signature.residents:
        value = arguments.get(name)
        if isinstance(value, DatabaseHandle):
            arguments = {**arguments, name: value.database}
        elif isinstance(value, StateHandle):
            arguments = {**arguments, name: value.state}
        elif isinstance(value, State):
            raise InputError(f"{signature.name} takes {name} by handle: load the state {value.id} first")
    return signature.bind(arguments, task.options)
