"""Registry of backends, transports and commands by entry points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    # The command line looks for its commands here, and most of them need no operators.
    from .protocols import Backend

__all__ = [
    "BACKENDS",
    "COMMANDS",
    "TRANSPORTS",
    "backend",
    "backend_names",
    "entries",
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
