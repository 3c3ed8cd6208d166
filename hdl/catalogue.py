"""Catalogue of cores, found in ``hdl/cores``, in installed packages, or by a path."""

import importlib
import inspect
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from amaranth.lib import wiring

from ninefold.hdl import cores
from ninefold.hdl.core import Core
from ninefold.spec.errors import InputError
from ninefold.spec.packages import import_path
from ninefold.spec.registry import entries

__all__ = ["GROUP", "CatalogueEntry", "core_names", "find_core", "is_path", "make_core", "own_names", "parameters_of"]

#: Entry points of cores in other packages: ``NAME = "PACKAGE"``.
GROUP: Final = "ninefold.cores"


@dataclass(frozen=True)
class CatalogueEntry:
    """Core with its names.

    Attributes
    ----------
    name : str
        Name of the core, for files and messages.
    given : str
        Word that names the core on the command line: `name`, or a path.
    core : Core
        Description of the core.
    module : str
        Module that defines it.
    package : str or None
        Package with the parts of another party's core; None for a core of Ninefold, or one that is a single file.
    home : str
        Folder of the parts, for messages.
    """

    name: str
    given: str
    core: Core
    module: str
    package: str | None
    home: str

    @property
    def absolute(self) -> str:
        """Word that names the core in any folder."""
        place, colon, member = self.given.partition(":")
        return f"{Path(place).resolve()}{colon}{member}" if is_path(place) else self.given

    @property
    def own(self) -> bool:
        """True for a core of Ninefold."""
        return self.module.startswith(f"{cores.__name__}.")


@cache
def own_names() -> tuple[str, ...]:
    """Return the names of Ninefold's cores, without importing them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(cores.__path__)))


def core_names() -> tuple[str, ...]:
    """Return the names of Ninefold's cores, then of cores in installed packages, without importing them."""
    return (*own_names(), *(name for name in entries(GROUP) if name not in own_names()))


def is_path(word: str) -> bool:
    """Return whether a word of the command line is the path of a core.

    It is a file ``X.py`` or a package's folder, or names an object in a module: ``X.py:NAME``, ``PACKAGE.MODULE:NAME``.
    """
    place, colon, name = word.rpartition(":")
    if colon and name.isidentifier():
        return is_path(place) or all(part.isidentifier() for part in place.split("."))
    return word.endswith(".py") or word.startswith((".", os.sep)) or (os.sep in word and Path(word).is_dir())


def find_core(name: str) -> CatalogueEntry:
    """Import a core and return its entry.

    Parameters
    ----------
    name : str
        Name of the core, or the path of its file or of its package's folder.

    Raises
    ------
    InputError
        There is no such core, it cannot be imported, or its module does not define ``CORE``.
    """
    if is_path(name):
        return _of_path(name)
    if name in own_names():
        module = f"{cores.__name__}.{name}"
        return CatalogueEntry(name, name, _core_of(module), module, None, f"sim/cores/{name}")
    installed = entries(GROUP)
    if name not in installed:
        raise InputError(f"core must be one of {', '.join(core_names())}, or a path, not {name!r}")
    return _entry(name, name, installed[name].module, installed[name].module.replace(".", "/"))


def parameters_of(name: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a core's constructor by name, in order.

    Raises
    ------
    InputError
        There is no such core.
    """
    return find_core(name).core.parameters


def make_core(name: str, **parameters: Any) -> wiring.Component:
    """Construct a core.

    Parameters
    ----------
    name : str
        Name or path of the core.
    **parameters
        Parameters of the core.

    Raises
    ------
    InputError
        The core or a parameter is unknown, a parameter is missing, or a value is not allowed.
    """
    entry = find_core(name)
    known = entry.core.parameters
    unknown = [given for given in parameters if given not in known]
    if unknown:
        takes = f"its parameters are {', '.join(known)}" if known else "it has no parameters"
        raise InputError(f"{entry.name} does not take {', '.join(unknown)}; {takes}")
    missing = [p.name for p in known.values() if p.default is p.empty and p.name not in parameters]
    if missing:
        raise InputError(f"{entry.name} needs {', '.join(missing)}; its parameters are {', '.join(known)}")
    return entry.core.make(**parameters)


def _of_path(given: str) -> CatalogueEntry:
    place, colon, member = given.rpartition(":")
    if colon:
        module = import_path(place) if is_path(place) else place
        return CatalogueEntry(
            f"{module.replace('.', '_')}_{member}", given, _core_of(module, member), module, None, place
        )
    path = Path(given)
    file = path / "core.py" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"there is no core {given}: {file} does not exist")
    name = import_path(given)
    return _entry(name, given, name, given)


def _entry(name: str, given: str, module: str, home: str) -> CatalogueEntry:
    """Return the entry of a core in a package, whose module ``core`` defines it, or in a single module."""
    imported = _imported(module)
    if not hasattr(imported, "__path__"):
        return CatalogueEntry(name, given, _core_of(module), module, None, home)
    return CatalogueEntry(name, given, _core_of(f"{module}.core"), f"{module}.core", module, home.rstrip(os.sep))


def _core_of(module: str, member: str = "CORE") -> Core:
    core = getattr(_imported(module), member, None)
    if isinstance(core, type) and issubclass(core, wiring.Component):
        return Core(core)
    if not isinstance(core, Core):
        raise InputError(
            f"{module} must define {member} as a ninefold.hdl.own.Verilog, a ninefold.hdl.core.Core, or an Amaranth "
            f"component's class, not {core!r}"
        )
    return core


def _imported(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise InputError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
