"""Signatures of all operators: the ones in this folder, and the ones of other packages.

This folder is scanned for modules with an ``OPERATOR``. Another package adds operators by entry points of the group
``ninefold.operators``, whose value is a package with the modules ``signature`` (with ``OPERATOR``), ``golden``,
``cases``, and one for each backend that runs the operator; or at run time, by its path (`add`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

from ..errors import InputError
from ..packages import import_path
from ..registry import entries
from ..signature import Operator

__all__ = ["GROUP", "OPERATORS", "PACKAGES", "UNUSABLE", "add", "module_of", "remove"]

#: Group of entry points.
GROUP: Final = "ninefold.operators"

_found: dict[str, Operator] = {}
_packages: dict[str, str] = {}
_unusable: dict[str, str] = {}
#: Every operator by name.
OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(_found)
#: Package of each operator that another package adds.
PACKAGES: Final[Mapping[str, str]] = MappingProxyType(_packages)
#: Reason for each entry point whose operator cannot be used.
UNUSABLE: Final[Mapping[str, str]] = MappingProxyType(_unusable)


def module_of(operator: str, home: str, part: str) -> ModuleType | None:
    """Return the module of a layer for an operator, or None if there is none.

    Parameters
    ----------
    operator : str
        Name of the operator.
    home : str
        Package of the layer, which has one module for each of our operators.
    part : str
        Name of the module in the package of another's operator, e.g. ``"golden"``.
    """
    package = _packages.get(operator)
    name = f"{home}.{operator}" if package is None else f"{package}.{part}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise


def add(package: str | Path) -> Operator:
    """Add the operator of a package, given by its name or by the path of its folder, and return it.

    Raises
    ------
    InputError
        There is no such package, it has no ``signature.OPERATOR``, or its operator's name is taken.
    """
    name = str(package)
    if isinstance(package, Path) or "/" in name:
        name = import_path(package)
    try:
        operator = importlib.import_module(f"{name}.signature").OPERATOR
    except (ImportError, AttributeError) as error:
        raise InputError(f"{package} must be a package with OPERATOR in its module signature: {error}") from error
    if not isinstance(operator, Operator):
        raise InputError(f"OPERATOR of {package} must be an Operator, not {type(operator).__name__}")
    if operator.name in _found and _packages.get(operator.name) != name:
        holder = _packages.get(operator.name, "Ninefold")
        raise InputError(f"{package} may not take the name {operator.name}, which an operator of {holder} has")
    _found[operator.name], _packages[operator.name] = operator, name
    return operator


def remove(name: str) -> None:
    """Forget the operator of another package; open devices that found it keep their functions."""
    if name not in _packages:
        raise InputError(f"operator must be one of {', '.join(_packages) or 'none'}, not {name!r}")
    del _found[name], _packages[name]


def _scan() -> None:
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        _found[info.name] = importlib.import_module(f"{__name__}.{info.name}").OPERATOR
    for name, entry in entries(GROUP).items():
        try:
            add(entry.value)
        except Exception as error:  # a third party's package may raise anything
            _unusable[name] = f"{type(error).__name__}: {error}"


_scan()
