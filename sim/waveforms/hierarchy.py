"""Header of a VCD as a tree of scopes: modules, payloads of streams with their fields, and signals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ninefold.sim.waveforms.declarations import Declared, elements_of_large_arrays, is_temporary
from ninefold.spec.errors import ToolError

__all__ = ["Header", "Scope", "Variable", "header_of", "read_header"]

_INDEX = re.compile(r"\[\d+(:\d+)?\]$")


@dataclass(frozen=True)
class Variable:
    """Signal of a VCD.

    Attributes
    ----------
    name : str
        Name within its scope.
    code : str
        Identifier code of its changes in the VCD.
    width : int
        Number of bits.
    declared : Declared
        Direction, sign and names of values.
    low : int
        Position of its least significant bit in the value of the code.
    of : int
        Width of the value of the code.
    """

    name: str
    code: str
    width: int
    declared: Declared
    low: int
    of: int


@dataclass
class Scope:
    """Module, or signal with fields.

    Attributes
    ----------
    variables : dict of str to Variable
        Signals or fields by name.
    scopes : dict of str to Scope
        Inner scopes by name. A signal with fields is in both.
    """

    variables: dict[str, Variable] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)

    def ordered(self) -> list[Variable]:
        """Return signals in the order of declaration, and fields from the least significant upwards."""
        return sorted(self.variables.values(), key=lambda one: (one.declared.offset, one.declared.line, one.name))

    def leaves(self, name: str) -> Iterator[tuple[str, Variable]]:
        """Yield a signal, or its innermost fields in order, each with its path; elements of arrays are omitted."""
        inner = self.scopes.get(name)
        fields = [] if inner is None else [one.name for one in inner.ordered() if not _INDEX.search(one.name)]
        if inner is None or not fields:
            yield name, self.variables[name]
        else:
            for one in fields:
                yield from ((f"{name}.{path}", variable) for path, variable in inner.leaves(one))


@dataclass(frozen=True)
class Header:
    """Header of a VCD.

    Attributes
    ----------
    timescale : str
        Time unit, such as ``1ps``.
    root : Scope
        All signals except temporaries.
    """

    timescale: str
    root: Scope


def read_header(lines: Iterable[bytes]) -> tuple[str, int]:
    """Return the definitions of a VCD and their size in bytes; the first change is on the next line.

    Raises
    ------
    ToolError
        The definitions have no end: the simulator crashed while writing them, or this is no VCD.
    """
    header = []
    for line in lines:
        header.append(line)
        if b"$enddefinitions" in line and line.endswith(b"\n"):
            return b"".join(header).decode(errors="replace"), sum(map(len, header))
    raise ToolError("the simulator's VCD is incomplete: its definitions have no end")


def header_of(text: str, declared: Mapping[str, Declared]) -> Header:
    """Read the header of a VCD.

    Parameters
    ----------
    text : str
        Definitions, as returned by `read_header`.
    declared : mapping of str to Declared
        The design's signals, as returned by `declarations`. Other signals are shown without direction and sign.
    """
    timescale = "1ps"
    place: list[str] = []
    sources: dict[str, tuple[str, int]] = {}
    for keyword, body in re.findall(r"\$(\w+)\s+(.*?)\s*\$end\b", text, re.DOTALL):
        words = body.split()
        if keyword == "timescale":
            timescale = "".join(words)
        elif keyword == "scope":
            place.append(words[1].removeprefix("\\"))
        elif keyword == "upscope":
            place.pop()
        elif keyword == "var" and words[0] not in {"real", "parameter", "string"}:
            sources[".".join([*place, _name(words)])] = words[2], int(words[1])
    variables = {
        key: Variable(key.rpartition(".")[2], code, width, declared.get(key, Declared()), 0, width)
        for key, (code, width) in sources.items()
    }
    for key, one in declared.items():
        # A field need not be in the VCD; a netlist has few of them.
        code, of = sources.get(one.holder, ("", 0))
        if one.holder and one.offset + one.width <= of:
            variables[key] = Variable(key.rpartition(".")[2], code, one.width, one, one.offset, of)
    hidden = elements_of_large_arrays(variables)
    root = Scope()
    for key, variable in variables.items():
        if key not in hidden and not any(map(is_temporary, key.split("."))):
            _add(root, key, variable)
    return Header(timescale, root)


def _name(words: list[str]) -> str:
    """Return the name of a declared signal without its range, which Icarus appends to the name."""
    name = words[3].removeprefix("\\")
    return re.sub(r"\[\d+:\d+\]$", "", name) if len(words) == 4 and int(words[1]) > 1 else name


def _add(root: Scope, key: str, variable: Variable) -> None:
    scope = root
    for part in key.split(".")[:-1]:
        scope = scope.scopes.setdefault(part, Scope())
    scope.variables[variable.name] = variable
