"""Registry of backends, transports and commands by entry points, and of operators by files."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import InputError, UnsupportedError

if TYPE_CHECKING:
    # The command line looks for its commands here, and most of them need no operators.
    from .data import Answer
    from .protocols import Backend
    from .signature import Call

__all__ = [
    "BACKENDS",
    "COMMANDS",
    "TRANSPORTS",
    "Runners",
    "backend",
    "backend_names",
    "entries",
    "operators_of",
    "scan",
]

BACKENDS = "ninefold.backends"
TRANSPORTS = "ninefold.transports"
COMMANDS = "ninefold.commands"


@cache
def entries(group: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of a group by name, sorted by name; nothing is imported.

    Read once per process, because reading the metadata of all installed packages takes longer than a small task.
    """
    found = _all_entries().select(group=group)
    return MappingProxyType({e.name: e for e in sorted(found, key=lambda e: e.name)})


@cache
def _all_entries() -> Any:  # EntryPoints; the stubs for 3.11 name its base
    return entry_points()


def backend_names() -> list[str]:
    """Return the names of all installed backends."""
    return list(entries(BACKENDS))


def backend(name: str) -> Backend:
    """Import and construct the backend `name`.

    Raises
    ------
    InputError
        No installed package provides it.
    """
    found = entries(BACKENDS)
    if name not in found:
        raise InputError(f"backend must be one of {', '.join(found) or 'none'}, not {name!r}")
    made: Backend = found[name].load()()
    return made


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
        from .operators import OPERATORS

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
    or one for each class of device. An operator without a module is not run. The package states the reason: in
    ``REASONS``, by the name of the operator, or in ``REASON`` for all others.

    Parameters
    ----------
    package : str
        Name of the backend's package.

    Raises
    ------
    ValueError
        A rating is not from 1 to 10.
    """
    from .operators import OPERATORS

    run: dict[str, Callable[[Any, Call], Answer]] = {}
    reasons: dict[str, str] = {}
    stated: dict[str, int | Mapping[str, int]] = {}
    found = importlib.import_module(package)
    other = getattr(found, "REASON", f"{package} has no module for it yet")
    present = {info.name for info in pkgutil.iter_modules(found.__path__)}
    for name, operator in OPERATORS.items():
        if name not in present:
            reasons[name] = getattr(found, "REASONS", {}).get(name, other)
            continue
        module = importlib.import_module(f"{package}.{name}")
        run[name] = module.step if operator.stateful else module.run
        if (rating := getattr(module, "RATING", None)) is not None:
            _check_rating(module.__name__, rating)
            stated[name] = rating
    return Runners(run, reasons, stated)


def _check_rating(module: str, rating: int | Mapping[str, int]) -> None:
    for value in (rating,) if isinstance(rating, int) else rating.values():
        if not 1 <= value <= 10:
            raise ValueError(f"RATING in {module} must be 1 to 10, not {value}")
