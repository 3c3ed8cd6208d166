"""Modules and packages of another party, imported by their path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from .errors import InputError

__all__ = ["import_path"]


def import_path(given: str | Path) -> str:
    """Import a module by the path of its file, or a package by its folder, and return its name.

    The folder around it joins the end of ``sys.path``, so that child processes of tools find it and the user's files
    hide no other module.

    Parameters
    ----------
    given : str or Path
        ``NAME.py``, or the folder ``NAME`` of a package.

    Raises
    ------
    InputError
        There is no such module, its name is not an identifier or belongs to another module, or it cannot be imported.
    """
    path = Path(given)
    place = path.resolve()
    name = place.stem
    if not (place.is_dir() or (place.is_file() and place.suffix == ".py")):
        raise InputError(f"{given} must be the folder of a package or a .py file, and does not exist")
    if not name.isidentifier():
        raise InputError(f"the name of {given} must be letters, digits and underscores, not a digit first")
    if (folder := str(place.parent)) not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(name)
    except Exception as error:  # it may raise anything
        raise InputError(f"{given} cannot be imported: {type(error).__name__}: {error}") from error
    # A folder without __init__.py is a namespace package, which has a path and no file.
    found = [module.__file__] if module.__file__ else list(module.__path__)
    if not any(Path(str(other)).resolve() in (place, place / "__init__.py") for other in found):
        raise InputError(f"{given} has the name of another module, {found[0]}: rename it")
    return name
