"""Parts of each core, in a package of its name: testbench, proof, vectors for the levels, planted faults, mutants."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from ninefold.hdl.catalogue import CatalogueEntry, find_core
from ninefold.hdl.core import PARTS
from ninefold.spec.errors import InputError

__all__ = ["folder_of", "has_part", "part_of", "part_path"]


def part_of(name: str, part: str) -> ModuleType:
    """Import a part of a core.

    Parameters
    ----------
    name : str
        Name or path of the core.
    part : str
        One of ``ninefold.hdl.core.PARTS``.

    Raises
    ------
    InputError
        There is no such core, or it does not have the part; the message says where the part belongs, or why the core
        does not have it.
    """
    return importlib.import_module(part_path(name, part))


def part_path(name: str, part: str) -> str:
    """Return the dotted name of a part's module without importing it; raises as `part_of`."""
    entry = find_core(name)
    module = _module_of(entry, part)
    if module is None:
        raise InputError(_missing(entry, part))
    return module


def has_part(name: str, part: str) -> bool:
    """Return whether a core has a part."""
    entry = find_core(name)
    if PARTS[part] == f"{part}.py":
        return _module_of(entry, part) is not None
    return (folder_of(name) / PARTS[part]).exists()


def folder_of(name: str) -> Path:
    """Return the folder of a core's parts.

    Raises
    ------
    InputError
        There is no such core, or it is a single file.
    """
    entry = find_core(name)
    if entry.own:
        return Path(__file__).parent / entry.name
    if entry.package is None:
        raise InputError(_missing(entry, "mutants"))
    return Path(str(importlib.import_module(entry.module).__file__)).parent


def _module_of(entry: CatalogueEntry, part: str) -> str | None:
    """Return the dotted name of a part's module, or None without one."""
    package = f"{__name__}.{entry.name}" if entry.own else entry.package
    if package is None:
        return None
    module = f"{package}.{part}"
    try:
        return None if importlib.util.find_spec(module) is None else module
    except ModuleNotFoundError:  # without its package
        return None


def _missing(entry: CatalogueEntry, part: str) -> str:
    if part in entry.core.without:
        return f"{entry.name} has no {part}: {entry.core.without[part]}"
    if not entry.own and entry.package is None:
        return (
            f"{entry.name} has no {part}: make it a package, with {entry.name}/core.py and {entry.name}/{PARTS[part]}"
        )
    return f"{entry.name} has no {part}: add {entry.home}/{PARTS[part]}"
