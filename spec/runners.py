"""Operators of a backend, found by scanning its package, with ratings and reasons."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .data import Answer
from .errors import UnsupportedError
from .operators import OPERATORS, module_of
from .protocols import Backend
from .signature import Call

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
class Runners:
    """The operators of one backend, found by scanning its package.

    Attributes
    ----------
    run : mapping of str to callable
        Operator -> ``function(device, call) -> Answer``.
    reasons : mapping of str to str
        Operator -> reason why the backend does not run it.
    stated : mapping of str to int or mapping of str to int
        Operator -> rating from 1 to 10, or one rating for each class of device (`protocols.KINDS`).
    """

    run: Mapping[str, Callable[[Any, Call], Answer]]
    reasons: Mapping[str, str]
    stated: Mapping[str, int | Mapping[str, int]]

    def operators(self) -> dict[str, str | None]:
        """Return, for every operator, None or the reason why it is not run."""
        return {name: self.reasons.get(name) for name in OPERATORS}

    def ratings(self, kind: str) -> dict[str, int]:
        """Return the rating of each operator on a class of device, as far as it is stated; see `Found.ratings`."""
        by_kind = {name: {kind: said} if isinstance(said, int) else said for name, said in self.stated.items()}
        return {name: said[kind] for name, said in by_kind.items() if kind in said}

    def __call__(self, device: Any, call: Call) -> Answer:
        """Run a call on a device, or raise `UnsupportedError` with the reason."""
        name = call.operator.name
        if name not in self.run:
            raise UnsupportedError(f"{device.name} does not run {name}: {self.reasons[name]}")
        return self.run[name](device, call)


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
    run: dict[str, Callable[[Any, Call], Answer]] = {}
    reasons: dict[str, str] = {}
    stated: dict[str, int | Mapping[str, int]] = {}
    found = importlib.import_module(package)
    other = getattr(found, "REASON", f"{package} has no module for it yet")
    said = getattr(found, "REASONS", {})
    for name, operator in OPERATORS.items():
        module = module_of(name, package, package.rpartition(".")[2])
        if module is None:
            reasons[name] = said.get(name) or said.get(operator.family, other)
            continue
        run[name] = module.step if operator.stateful else module.run
        if (rating := getattr(module, "RATING", None)) is not None:
            _check_rating(module.__name__, rating)
            stated[name] = rating
    return Runners(run, reasons, stated)


def _check_rating(module: str, rating: int | Mapping[str, int]) -> None:
    for value in (rating,) if isinstance(rating, int) else rating.values():
        if not 1 <= value <= 10:
            raise ValueError(f"RATING in {module} must be 1 to 10, not {value}")
