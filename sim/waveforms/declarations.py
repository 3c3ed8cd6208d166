"""Signals as a design's Verilog declares them: direction, sign and the names of enumerations, which a VCD lacks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType

__all__ = ["Declared", "declarations", "elements_of_large_arrays", "is_temporary", "only_shown"]

_MODULE = re.compile(r"module (?:\\(\S+) |(\w+))")
_DECLARED = re.compile(r"(input|output|inout|wire|reg) (signed )?(?:\[\d+:\d+\] )?(?:\\(\S+) |([A-Za-z_][\w$]*))")
#: Amaranth assigns each field from the bits of its signal.
_FIELD = re.compile(r"assign \\(\S+)  = .*\[(?:\d+:)?(\d+)\];")
_VALUE = re.compile(r'\(\* enum_value_([01]+) = "(.*)" \*\)')
#: Wires without a name of their own: Amaranth's ``$1`` and ``port$1$0``, Yosys' ``$auto$...`` and ``_1_``.
_TEMPORARY = re.compile(r"\$|port\$\d+\$\d+$|_\d+_$")
_ELEMENT = re.compile(r"(.+?)\[(\d+)\](?=\.|$)")
#: Larger arrays, such as the lanes of a stream, are shown as one word: a signal for each element would be most signals.
_ELEMENTS = 16


@dataclass(frozen=True)
class Declared:
    """One signal of a design.

    Attributes
    ----------
    direction : str
        ``input``, ``output`` or ``inout`` for a port of its module; empty for any other signal.
    signed : bool
        Whether it holds a two's complement number.
    names : mapping of str to str
        Names of an enumeration by value, in binary digits; empty for any other signal.
    offset : int
        Position of a field's least significant bit in its signal.
    line : int
        Where it is declared; ports stand before other signals.
    """

    direction: str = ""
    signed: bool = False
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    offset: int = 0
    line: int = 0


def declarations(verilog: str) -> dict[str, Declared]:
    """Return the signals of a design by their hierarchical name, in the order of their declaration.

    Amaranth names a module by its place in the hierarchy, and a field by the signal that holds it, so a name such as
    ``top.cell_0.slot.entry.score`` stands in the text.

    Parameters
    ----------
    verilog : str
        The design, as Yosys writes it: each declaration on a line of its own, with its attributes before it.
    """
    found: dict[str, Declared] = {}
    module = ""
    names: dict[str, str] = {}
    for number, text in enumerate(verilog.splitlines()):
        line = text.lstrip()
        if value := _VALUE.match(line):
            names[value[1]] = value[2]
        elif begin := _MODULE.match(line):
            module = begin[1] or begin[2]
        elif declared := _DECLARED.match(line):
            kind, sign, escaped, plain = declared.groups()
            # A port is declared twice, with its attributes at the first declaration.
            key = f"{module}.{escaped or plain}"
            before = found.get(key, Declared(line=number))
            direction = before.direction if kind in {"wire", "reg"} else kind
            found[key] = replace(before, direction=direction, signed=bool(sign), names=names or before.names)
            names = {}
        elif (assigned := _FIELD.match(line)) and (key := f"{module}.{assigned[1]}") in found:
            found[key] = replace(found[key], offset=int(assigned[2]))
        elif not line.startswith("(*"):
            names = {}
    return found


def is_temporary(name: str) -> bool:
    """Return whether a signal was made by a tool and has no name in the source."""
    return _TEMPORARY.match(name) is not None


def elements_of_large_arrays(names: Iterable[str]) -> set[str]:
    """Return those of a module's signals that are an element of an array of more than 16, or a field of one.

    An array that is no signal as a whole, which is how Verilator traces a memory, keeps its elements.
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


def only_shown(verilog: str) -> str:
    """Return a design of which Verilator traces what a waveform shows and no more: that builds and runs faster."""
    lines = verilog.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if _MODULE.match(line)]
    for begin, end in pairwise([*begins, len(lines)]):
        declared = {}
        for number in range(begin, end):
            if found := _DECLARED.match(lines[number].lstrip()):
                declared[number] = found[3] or found[4]
        large = elements_of_large_arrays(declared.values())
        for number, name in declared.items():
            if is_temporary(name) or name in large:
                lines[number] = f"/* verilator tracing_off */\n{lines[number]}/* verilator tracing_on */\n"
    return "".join(lines)
