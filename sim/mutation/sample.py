"""Samples of mutants of a core, drawn once by Yosys' ``mutate`` and kept as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ninefold.hdl.core import PARTS
from ninefold.sim.cores import folder_of
from ninefold.sim.mutation.netlist import Netlist, mutations, unclocked_memories
from ninefold.spec.errors import InputError

__all__ = ["Mutant", "Sample", "draw", "read", "write"]

#: Number of mutants drawn per core, if it has that many.
SIZE = 200
#: Pins of a memory's read port that only a clocked port has.
_CLOCKED = re.compile(r" -port RD_(?:CLK|EN|ARST|SRST)\b")
#: Descriptions of Yosys' kinds of mutation.
_KINDS = {
    "inv": "inverted",
    "const0": "stuck at 0",
    "const1": "stuck at 1",
    "cnot0": "inverted where {other} is 0",
    "cnot1": "inverted where {other} is 1",
}


@dataclass(frozen=True)
class Mutant:
    """One fault in a netlist.

    Attributes
    ----------
    number : int
        Its place in the sample, from 1.
    options : str
        Options of ``mutate -mode`` for the mutation, without the module.
    """

    number: int
    options: str

    @property
    def cell(self) -> str:
        """Name of the cell."""
        return self._option("cell")

    @property
    def kind(self) -> str:
        """Effect on the bit."""
        other = f"bit {self._option('ctrlbit')} of the port"
        return _KINDS[self.options.split()[0]].format(other=other)

    @property
    def signal(self) -> str:
        """The bit of a signal, else of a port of a nameless cell."""
        if wire := self._option("wire"):
            return f"{wire}[{self._option('wirebit')}]"
        return f"port {self._option('port')}[{self._option('portbit')}] of {self.cell}"

    def _option(self, name: str) -> str:
        found = re.search(rf" -{name} (\S+)", self.options)
        return found[1] if found else ""


@dataclass(frozen=True)
class Sample:
    """The mutants of a core.

    Attributes
    ----------
    netlist : str
        Digest of the netlist that they were drawn from.
    seed : int
        Seed of the draw.
    mutants : tuple of Mutant
        In the order of the draw.
    """

    netlist: str
    seed: int
    mutants: tuple[Mutant, ...]


def draw(netlist: Netlist, seed: int, size: int = SIZE) -> Sample:
    """Draw mutants of a netlist.

    Yosys spreads them over modules, cells, signals and lines of the source. Mutants of clock pins are left out, since
    a stuck or inverted clock is not a fault of the logic and the first test would kill it.

    Parameters
    ----------
    netlist : Netlist
        The netlist.
    seed : int
        From 0 on.
    size : int
        Number of mutants, if the netlist has that many.

    Raises
    ------
    ToolError
        Yosys failed.
    """
    # Up to a fifth of the drawn mutations are on clock pins.
    unclocked = unclocked_memories(netlist)
    drawn = [
        options
        for options in mutations(netlist, seed, size + size // 4)
        if " -port CLK " not in f"{options} "
        # Yosys can write no memory that is read without a clock and with an enable or a reset.
        and not (_CLOCKED.search(options) and any(f" -cell {cell} " in options for cell in unclocked))
    ]
    kept = list(dict.fromkeys(drawn))[:size]
    return Sample(netlist.digest, seed, tuple(Mutant(i, options) for i, options in enumerate(kept, 1)))


def read(core: str, netlist: Netlist) -> Sample:
    """Return the kept sample of a core.

    Raises
    ------
    InputError
        There is none, or it was drawn from another netlist.
    """
    path = _path(core)
    again = f"draw one with `ninefold mutate {core} --draw`"
    if not path.exists():
        raise InputError(f"there is no sample of mutants of {core}; {again}")
    lines = path.read_text().splitlines()
    sample = Sample(_value(lines, "netlist"), int(_value(lines, "seed")), _mutants(lines))
    if sample.netlist != netlist.digest:
        drawn = f"{sample.netlist[:12]}, and {core} is now {netlist.digest[:12]}"
        raise InputError(f"the sample of mutants of {core} was drawn from the netlist {drawn}; {again}")
    return sample


def write(core: str, sample: Sample) -> Path:
    """Write a sample, replacing an earlier one, and return its file."""
    head = [f"# Mutants of {core}, drawn by `ninefold mutate {core} --draw`: options of Yosys' mutate -mode."]
    head += [f"# netlist {sample.netlist}", f"# seed {sample.seed}"]
    path = _path(core)
    path.write_text("\n".join([*head, *(mutant.options for mutant in sample.mutants)]) + "\n")
    return path


def _path(core: str) -> Path:
    return folder_of(core) / PARTS["mutants"]


def _mutants(lines: Sequence[str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(i, line) for i, line in enumerate((x for x in lines if not x.startswith("#")), 1))


def _value(lines: Sequence[str], name: str) -> str:
    return next(line.split()[2] for line in lines if line.startswith(f"# {name} "))
