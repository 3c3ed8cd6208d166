"""Signals as declared in a design's Verilog: direction, sign and names of enumerations, which a VCD lacks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType

__all__ = ["Declared", "declarations", "elements_of_large_arrays", "is_temporary", "only_shown"]

_MODULE = re.compile(r"module (?:\\(\S+) |(\w+))")
_DECLARED = re.compile(r"(input|output|inout|wire|reg) (signed )?(?:\[(\d+):0\] )?(?:\\(\S+) |([A-Za-z_][\w$]*))")
_ASSIGNED = re.compile(r"assign (?:\\(\S+) |(\w+)) = (.+);")
#: Signal, or a range of its bits.
_PART = re.compile(r"(?:\\(\S+)|(\w[\w$]*)) ?(?:\[(\d+)(?::(\d+))?\])?")
_VALUE = re.compile(r'\(\* enum_value_([01]+) = "(.*)" \*\)')
#: Wires that have no name in the source: Amaranth's ``$1`` and ``port$1$0``, Yosys' ``$auto$...`` and ``_1_``.
_TEMPORARY = re.compile(r"\$|port\$\d+\$\d+$|_\d+_$")
_ELEMENT = re.compile(r"(.+?)\[(\d+)\](?=\.|$)")
#: Maximum elements of an array shown as signals. Larger arrays, such as the lanes of a stream, are shown as one word;
#: their elements would outnumber all other signals.
_ELEMENTS = 16


@dataclass(frozen=True)
class Declared:
    """Signal of a design.

    Attributes
    ----------
    direction : str
        ``input``, ``output`` or ``inout`` for a port of its module; empty for other signals.
    signed : bool
        True for a two's complement number.
    names : mapping of str to str
        Names of an enumeration by value in binary digits; empty for other signals.
    width : int
        Number of bits.
    holder : str
        Hierarchical name of the signal that contains this field; empty for other signals, and if the position of the
        field is unknown.
    offset : int
        Position of a field's least significant bit in its holder.
    line : int
        Line number of the declaration; ports come before other signals.
    """

    direction: str = ""
    signed: bool = False
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    width: int = 1
    holder: str = ""
    offset: int = 0
    line: int = 0


def declarations(verilog: str) -> dict[str, Declared]:
    """Return the signals of a design by hierarchical name, in the order of declaration.

    Amaranth names a module by its place in the hierarchy, and a field after its signal, so the text contains names such
    as ``top.cell_0.slot.entry.score``.

    Parameters
    ----------
    verilog : str
        The design as written by Yosys: each declaration on a separate line, after its attributes.
    """
    found: dict[str, Declared] = {}
    for module, lines in _modules(verilog):
        declared: dict[str, Declared] = {}
        same: dict[str, str] = {}
        names: dict[str, str] = {}
        for number, line in lines:
            if value := _VALUE.match(line):
                names[value[1]] = value[2]
            elif one := _DECLARED.match(line):
                # A port is declared twice, with its attributes at the first declaration.
                name = one[4] or one[5]
                before = declared.get(name, Declared(line=number))
                declared[name] = replace(
                    before,
                    direction=before.direction if one[1] in {"wire", "reg"} else one[1],
                    signed=bool(one[2]),
                    names=names or before.names,
                    width=int(one[3] or 0) + 1,
                )
                names = {}
            elif assigned := _ASSIGNED.match(line):
                same[assigned[1] or assigned[2]] = assigned[3]
            elif not line.startswith("(*"):
                names = {}
        for name in declared:
            found[f"{module}.{name}"] = _placed(module, name, declared, same)
    return found


def _modules(verilog: str) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Yield the name of each module, and its lines with their numbers."""
    lines = list(enumerate(line.lstrip() for line in verilog.splitlines()))
    begins = [number for number, line in lines if line.startswith("module ")]
    for begin, end in pairwise([*begins, len(lines)]):
        name = _MODULE.match(lines[begin][1])
        if name is not None:
            yield name[1] or name[2], lines[begin + 1 : end]


def _placed(module: str, name: str, declared: Mapping[str, Declared], same: Mapping[str, str]) -> Declared:
    """Return a signal of a module, with its position in its holder if that is known."""
    one = declared[name]
    holder = name.partition(".")[0]
    if holder == name or holder not in declared or name not in same:
        return one
    # Both are assigned from the same bits of other signals, or the field from the holder.
    whole = _bits(same.get(holder, holder), declared)
    part = _bits(same[name], declared)
    if part and part[0] in whole:
        offset = whole.index(part[0])
        if whole[offset : offset + one.width] == part:
            return replace(one, holder=f"{module}.{holder}", offset=offset)
    return one


def _bits(text: str, declared: Mapping[str, Declared]) -> list[tuple[str, int]]:
    """Return the signal bits that an expression concatenates, least significant first; empty for other expressions."""
    bits: list[tuple[str, int]] = []
    for word in reversed(text.removeprefix("{").removesuffix("}").split(", ")):
        part = _PART.fullmatch(word.strip())
        if part is None or (part[1] or part[2]) not in declared:
            return []
        name = part[1] or part[2]
        high = part[3] or declared[name].width - 1
        low = part[4] or part[3] or 0
        bits += [(name, bit) for bit in range(int(low), int(high) + 1)]
    return bits


def is_temporary(name: str) -> bool:
    """Return true if a tool made the signal, so that it has no name in the source."""
    return _TEMPORARY.match(name) is not None


def elements_of_large_arrays(names: Iterable[str]) -> set[str]:
    """Return the names of a module's signals that are elements of arrays of more than 16, or fields of such elements.

    An array that is not itself a signal, such as a memory traced by Verilator, keeps its elements.
    """
    known = set(names)
    elements = defaultdict(set)
    sizes: dict[str, int] = {}
    for name in known:
        for found in _ELEMENT.finditer(name):
            array = name[: found.end(1)]
            sizes[array] = max(sizes.get(array, 0), int(found[2]) + 1)
            elements[array].add(name)
    return set().union(*(elements[array] for array, size in sizes.items() if size > _ELEMENTS and array in known))


def only_shown(verilog: str, *, fields: bool) -> str:
    """Return a design in which Verilator traces only the signals needed for waveforms, to build and run faster.

    Parameters
    ----------
    verilog : str
        The design.
    fields : bool
        Also trace fields whose position in their holder is known.
    """
    lines = verilog.splitlines(keepends=True)
    declared = declarations(verilog)
    large = elements_of_large_arrays(declared)
    for name, one in declared.items():
        if is_temporary(name.rpartition(".")[2]) or name in large or (one.holder and not fields):
            lines[one.line] = f"/* verilator tracing_off */\n{lines[one.line]}/* verilator tracing_on */\n"
    return "".join(lines)
