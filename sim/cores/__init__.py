"""Parts of each core, in a package of its name: testbench, proof, vectors for the levels, planted faults, mutants.

A core of another party without a testbench, vectors or proof gets the parts of ``ninefold.sim.own``, which need its
streams and its function ``golden``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ninefold.hdl.catalogue import CatalogueEntry, find_core, make_core
from ninefold.hdl.core import PARTS
from ninefold.spec.errors import InputError

__all__ = ["folder_of", "has_part", "is_free", "part_of", "part_path", "tested"]

#: Modules of the parts that any core with a golden function has.
_FREE: Final = {part: f"ninefold.sim.own.{part}" for part in ("testbench", "vectors", "proof")}


def part_of(name: str, part: str) -> Any:
    """Import a part of a core, or return the part that it has for nothing written.

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
    module: ModuleType = importlib.import_module(part_path(name, part))
    return module.of(name) if is_free(name, part) and part != "testbench" else module


def part_path(name: str, part: str) -> str:
    """Return the dotted name of a part's module without importing it; raises as `part_of`."""
    entry = find_core(name)
    module = _FREE[part] if is_free(name, part) else _module_of(entry, part)
    if module is None:
        raise InputError(_missing(entry, part))
    return module


def has_part(name: str, part: str) -> bool:
    """Return whether a core has a part."""
    entry = find_core(name)
    if PARTS[part] == f"{part}.py":
        if is_free(name, part):
            return True
        return _module_of(entry, part) is not None
    if not entry.own and entry.package is None:
        return False
    return (folder_of(name) / PARTS[part]).exists()


def is_free(name: str, part: str) -> bool:
    """Return whether ``ninefold.sim.own`` has this part of a core: another party's, with golden and no such part."""
    entry = find_core(name)
    if entry.own or part not in _FREE or part in entry.core.without or _module_of(entry, part) is not None:
        return False
    return hasattr(importlib.import_module(entry.module), "golden")


def tested(name: str, parameters: Mapping[str, Any]) -> Any:
    """Construct the component that a core's testbench drives; in a free one, control registers keep initial values."""
    if not is_free(name, "testbench"):
        return make_core(name, **parameters)
    from ninefold.sim.own.contract import contract_of

    return contract_of(name, parameters).make()


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
            f"{entry.name} has no {part}: "
            + (f"define the function golden in {entry.home}, or " if part in _FREE else "")
            + f"make it a package, with {entry.name}/core.py and {entry.name}/{PARTS[part]}"
        )
    return f"{entry.name} has no {part}: add {entry.home}/{PARTS[part]}"
