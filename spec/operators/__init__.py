"""Signatures of all operators, found by scanning this folder for modules with an ``OPERATOR``."""

import importlib
import pkgutil
from types import MappingProxyType
from typing import Final

from ..signature import Operator

__all__ = ["OPERATORS"]


def _scan() -> dict[str, Operator]:
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").OPERATOR for name in names}


#: Every operator by name.
OPERATORS: Final = MappingProxyType(_scan())
