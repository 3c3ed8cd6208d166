"""Operators of a backend, found by scanning its package, with ratings and reasons."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .data import Answer
from .errors import UnsupportedError
from .operators import OPERATORS, PACKAGES, module_of
from .protocols import Backend
from .signature import Call, Operator

__all__ = ["Runners", "operators_of", "scan"]


def operators_of(backend: Backend) -> Mapping[str, str | None]:
    """Return, for each operator, None or the reason why the backend does not run it.

    Raises
    ------
    TypeError
        ``operators()`` of the backend returns something else.
    """
    found: object = backend.operators()
    if not isinstance(found, Mapping):
        raise TypeError(f"operators() must return a mapping from operator to None or a reason, not {found!r}")
    return found


@dataclass(frozen=True)
class _Entry:
    """An operator in a backend: its module, or the reason that there is none."""

    module: ModuleType | None
    reason: str | None
    rating: int | Mapping[str, int] | None


class Runners:
    """The operators of one backend, found in its package by name.

    Parameters
    ----------
    package : str
        Name of the backend's package.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        # By operator, so that another package's operator may be added at any time.
        self._entries: dict[Operator, _Entry] = {}

    def operators(self) -> dict[str, str | None]:
        """Return, for every operator, None or the reason why it is not run."""
        return {name: self._entry(operator).reason for name, operator in OPERATORS.items()}

    def ratings(self, kind: str) -> dict[str, int]:
        """Return the rating of each operator on a class of device, as far as it is stated; see `Found.ratings`."""
        stated = {name: self._entry(operator).rating for name, operator in OPERATORS.items()}
        by_kind = {name: {kind: said} if isinstance(said, int) else said for name, said in stated.items()}
        return {name: said[kind] for name, said in by_kind.items() if said is not None and kind in said}

    def module(self, operator: Operator) -> ModuleType | None:
        """Return the module that runs an operator, or None if it is not run."""
        return self._entry(operator).module

    def __call__(self, device: Any, call: Call) -> Answer:
        """Run a call on a device, or raise `UnsupportedError` with the reason."""
        operator = call.operator
        entry = self._entries.get(operator) or self._entry(operator)
        if entry.module is None:
            raise UnsupportedError(f"{device.name} does not run {operator.name}: {entry.reason}")
        answer: Answer = (entry.module.step if operator.stateful else entry.module.run)(device, call)
        return answer

    def _entry(self, operator: Operator) -> _Entry:
        if operator not in self._entries:
            self._entries[operator] = self._look(operator)
        return self._entries[operator]

    def _look(self, operator: Operator) -> _Entry:
        try:
            module = module_of(operator.name, self.package, self.package.rpartition(".")[2])
        except Exception as error:
            if operator.name not in PACKAGES:
                raise
            # Another party's mistake must not disable the backend for all other operators.
            name = f"{PACKAGES[operator.name]}.{self.package.rpartition('.')[2]}"
            return _Entry(None, f"{name} cannot be imported: {type(error).__name__}: {error}", None)
        if module is None:
            package = importlib.import_module(self.package)
            said = getattr(package, "REASONS", {})
            other = getattr(package, "REASON", f"{self.package} has no module for it yet")
            return _Entry(None, said.get(operator.name) or said.get(operator.family, other), None)
        rating = getattr(module, "RATING", None)
        if rating is not None:
            _check_rating(module.__name__, rating)
        return _Entry(module, None, rating)


def scan(package: str) -> Runners:
    """Find a backend's operators: one module each, named after the operator.

    A module defines ``run(device, call)`` (``step`` for a stateful operator). It may state a ``RATING`` from 1 to 10,
    or one for each class of device. The package of another's operator has a module with the name of this backend's
    package instead. An operator without a module is not run. The backend's package states the reason: in ``REASONS``,
    by the name of the operator or of its family, or in ``REASON`` for all others.

    Parameters
    ----------
    package : str
        Name of the backend's package.

    Raises
    ------
    ValueError
        A rating is not from 1 to 10.
    """
    runners = Runners(package)
    runners.operators()
    return runners


def _check_rating(module: str, rating: int | Mapping[str, int]) -> None:
    for value in (rating,) if isinstance(rating, int) else rating.values():
        if not 1 <= value <= 10:
            raise ValueError(f"RATING in {module} must be 1 to 10, not {value}")
