"""The virtual boards, for whoever asks which boards there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from ninefold.drivers.boards import Place
from ninefold.sim.board.build import identity
from ninefold.sim.verilated import find_tools
from ninefold.spec.errors import UnavailableError

__all__ = ["VIRTUAL", "identities", "places"]

#: Configurations for no board but a virtual one, and what they are for; written here too, so that listing them does not
#: import Amaranth.
VIRTUAL: Final = {"virtual/demo": "8,192 rows of 384 nits, k up to 64", "virtual/tiny": "64 rows of 32 nits, k up to 8"}


def places() -> Sequence[Place]:
    """Return the virtual boards; nothing is compiled.

    Raises
    ------
    UnavailableError
        When Verilator, a C++ compiler or Amaranth is missing, with what to install.
    """
    tools = find_tools()
    return [
        Place(name, f"sim://{name}", f"{name}, {size}; Verilator {tools.verilator_version}", simulated=True)
        for name, size in VIRTUAL.items()
    ]


@cache
def identities() -> Mapping[str, str]:
    """Return the digests of virtual boards, those of real boards' configurations included, and their names."""
    from ninefold.hdl.configurations import CONFIGURATIONS

    try:
        names = {name: name if name in VIRTUAL else f"{name}, simulated" for name in CONFIGURATIONS}
        return {identity(name).hex(): called for name, called in names.items()}
    except UnavailableError:  # then nothing here can be one
        return {}
