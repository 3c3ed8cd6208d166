"""Catalogue of the virtual boards, for commands that list or identify boards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from ninefold.drivers.boards import Address
from ninefold.sim.board.build import from_files, identity
from ninefold.sim.verilated import Tools, tools_or_reason
from ninefold.spec.errors import UnavailableError

__all__ = ["SIZES", "identities", "places"]

#: Size of each configuration; all can be simulated, and the first is the default. The sizes are repeated here so that
#: listing boards does not import Amaranth.
SIZES: Final = {
    "virtual/demo": "8,192 rows of 384 nits, k up to 64",
    "virtual/tiny": "64 rows of 32 nits, k up to 8",
    "virtual/demo_signs": "8,192 rows of 384 signs, keep up to 512",
    "virtual/signs": "256 rows of 32 signs, keep up to 64",
    "icebreaker/small": "512 rows of 384 nits, k up to 16",
    "icebreaker/signs": "2,048 rows of 384 signs, keep up to 16",
    "orangecrab/mid": "512 rows of 384 nits, k up to 64",
    "tangnano9k/small": "213 rows of 384 nits, k up to 16",
    "tangnano9k/signs": "512 rows of 384 signs, keep up to 16",
    "ulx3s/full": "1,024 rows of 512 nits, k up to 64",
    "ulx3s/signs": "4,096 rows of 512 signs, keep up to 1,024",
}


def places() -> Sequence[Address]:
    """Return the boards that can be simulated, without compiling anything.

    Raises
    ------
    UnavailableError
        Verilator, a C++ compiler or Amaranth is missing; the message says what to install.
    """
    tools = tools_or_reason()
    by = f"Verilator {tools.verilator_version}" if isinstance(tools, Tools) else f"if it is in the cache: {tools}"
    return [Address(name, f"sim://{name}", f"{name}, {size}; {by}", simulated=True) for name, size in SIZES.items()]


def identities() -> Mapping[str, str]:
    """Return digest -> name of the simulated boards in the catalogue and of those opened by the path of a file."""
    return {**_catalogue(), **from_files()}


@cache
def _catalogue() -> Mapping[str, str]:
    from ninefold.hdl.configurations import CONFIGURATIONS

    try:
        names = {name: name if name.startswith("virtual/") else f"{name}, simulated" for name in CONFIGURATIONS}
        return {identity(name).hex(): called for name, called in names.items()}
    except UnavailableError:  # then this process cannot simulate any
        return {}
