"""Where programs of others are."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from .errors import UnavailableError

__all__ = ["find"]


def find(program: str | tuple[str, ...], install: str) -> Path:
    """Return the path of a program: beside the running Python, whose environment need not be activated, else on PATH.

    Parameters
    ----------
    program : str or tuple of str
        Its name; several where it goes by more than one, the one to look for first.
    install : str
        What provides it, e.g. ``pip install "ninefold[synth]"``.

    Raises
    ------
    UnavailableError
        It is in neither place.
    """
    names = (program,) if isinstance(program, str) else program
    python = Path(sys.executable)
    places = os.pathsep.join((str(python.parent), os.environ.get("PATH", os.defpath)))
    for name in names:
        if found := shutil.which(name, path=places):
            return Path(found)
    raise UnavailableError(f"{names[0]} is neither beside {python.name} nor on PATH", install)
