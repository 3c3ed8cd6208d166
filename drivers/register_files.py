"""Export of the register map as JSON, C header, SVD and Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ninefold.spec.link import FORMAT_GRID, FORMAT_PACKED, LOAD_FINAL, PAYLOAD_MAX, REPLY, Fault, Kind
from ninefold.spec.registers import IDENTITY, MAGIC, NO_TEMPERATURE, REGISTERS, STATISTICS, VERSION, Register
from ninefold.spec.stream_link import StreamFault, StreamKind
from ninefold.spec.streams import CoreRegister, board_registers

__all__ = ["FORMATS", "MINER", "Map", "c_header", "core_map", "json_text", "markdown", "register_table", "svd"]

_ACCESS = {"r": "read-only", "rw": "read-write", "w": "write-only"}


@dataclass(frozen=True)
class Map:
    """Register map of a board.

    Attributes
    ----------
    registers : sequence of Register
        The registers in the order of their addresses.
    peripheral, description : str
        Name and description in SVD.
    """

    registers: Sequence[Register] = REGISTERS
    peripheral: str = "MINER"
    description: str = "Miner behind the Ninefold link."


#: Map of boards that search.
MINER: Final = Map()


def core_map(name: str, registers: Sequence[CoreRegister]) -> Map:
    """Return the register map of the board around a core, given the core's name and registers."""
    return Map(board_registers(registers), name.upper(), f"Core {name} behind the Ninefold link.")


def json_text(of: Map = MINER) -> str:
    """Return the register map as JSON."""
    return json.dumps({"version": VERSION, "registers": [_record(r) for r in of.registers]}, indent=2) + "\n"


def c_header(of: Map = MINER) -> str:
    """Return the register map as a C header, with the types, error codes and limits of the link."""
    lines = [
        "/* Registers and link of a Ninefold board; written by `ninefold registers --format c`. */",
        "#ifndef NINEFOLD_REGISTERS_H",
        "#define NINEFOLD_REGISTERS_H",
        "",
        f"#define NINEFOLD_VERSION {VERSION}u",
        f"#define NINEFOLD_MAGIC 0x{MAGIC:08x}u",
        f"#define NINEFOLD_NO_TEMPERATURE 0x{NO_TEMPERATURE:08x}u",
        f"#define NINEFOLD_PAYLOAD_MAX {PAYLOAD_MAX}u",
        f"#define NINEFOLD_LOAD_FINAL 0x{LOAD_FINAL:08x}u",
        f"#define NINEFOLD_FORMAT_PACKED {FORMAT_PACKED}u",
        f"#define NINEFOLD_FORMAT_GRID {FORMAT_GRID}u",
        f"#define NINEFOLD_IDENTITY_WORDS {len(IDENTITY)}u",
        f"#define NINEFOLD_STATISTICS_WORDS {len(STATISTICS)}u",
        "",
        "/* Types of requests; a reply has NINEFOLD_REPLY added, or is NINEFOLD_ERROR. */",
        f"#define NINEFOLD_REPLY 0x{REPLY:02x}u",
        "#define NINEFOLD_ERROR 0xffu",
        *(f"#define NINEFOLD_KIND_{kind.name} 0x{kind:02x}u" for kinds in (Kind, StreamKind) for kind in kinds),
        "",
        "/* Codes of an error. */",
        *(f"#define NINEFOLD_FAULT_{fault.name} {fault}u" for faults in (Fault, StreamFault) for fault in faults),
        "",
        "/* Word addresses. */",
    ]
    for register in of.registers:
        name = f"NINEFOLD_{register.name.upper()}"
        lines += [
            f"/* {_ACCESS[register.access]}: {register.doc} */",
            f"#define {name}_ADDRESS 0x{register.address:02x}u",
        ]
        if register.count > 1:
            lines.append(f"#define {name}_COUNT {register.count}u")
        for field in register.fields:
            part = f"{name}_{field.name.upper()}"
            mask = ((1 << field.width) - 1) << field.low
            lines += [f"#define {part}_SHIFT {field.low}u", f"#define {part}_MASK 0x{mask:08x}u"]
    return "\n".join([*lines, "", "#endif", ""])


def svd(of: Map = MINER) -> str:
    """Return the register map as CMSIS-SVD, with addresses in bytes."""
    device = Element("device", {"schemaVersion": "1.3"})
    header = {
        "name": "NINEFOLD",
        "version": str(VERSION),
        "description": f"{of.description} Registers are accessed by the requests READ and WRITE.",
        "addressUnitBits": "8",
        "width": "32",
        "size": "32",
    }
    _fill(device, header)
    peripheral = SubElement(SubElement(device, "peripherals"), "peripheral")
    _fill(peripheral, {"name": of.peripheral, "baseAddress": "0x0"})
    block = SubElement(peripheral, "addressBlock")
    _fill(block, {"offset": "0x0", "size": hex(4 * (of.registers[-1].addresses[-1] + 1)), "usage": "registers"})
    registers = SubElement(peripheral, "registers")
    for register in of.registers:
        element = SubElement(registers, "register")
        if register.count > 1:
            _fill(element, {"dim": str(register.count), "dimIncrement": "4"})
        values = {
            "name": register.name + "[%s]" * (register.count > 1),
            "description": register.doc,
            "addressOffset": hex(4 * register.address),
            "access": _ACCESS[register.access],
        }
        if register.reset is not None:
            values["resetValue"] = f"0x{register.reset:08x}"
        _fill(element, values)
        if register.fields:
            fields = SubElement(element, "fields")
            for field in register.fields:
                position = {"bitOffset": str(field.low), "bitWidth": str(field.width)}
                _fill(SubElement(fields, "field"), {"name": field.name, "description": field.doc, **position})
    indent(device)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(device, encoding="unicode") + "\n"


def markdown(of: Map = MINER) -> str:
    """Return the register map as a documentation page."""
    return f"""# Registers

<!-- Written by `ninefold registers --format md`; change `spec/registers.py` instead. -->

The registers of a board, version {VERSION}: 32-bit words with word addresses, read and written over the
[link](link.md). Reading has no side effect. Bits outside the fields of a register are 0. A reset value of "configured"
is a parameter of the bitstream. `ninefold registers --format json|c|svd` exports the same table.

{register_table(of)}
IDENTIFY replies with the registers 0x{IDENTITY.start:02x} to 0x{IDENTITY[-1]:02x}, STATISTICS with
0x{STATISTICS.start:02x} to 0x{STATISTICS[-1]:02x}.
"""


def register_table(of: Map = MINER) -> str:
    """Return the registers as a Markdown table."""
    rows = ["| address | name | access | after reset | meaning |", "| --- | --- | --- | --- | --- |"]
    for register in of.registers:
        first, last = register.addresses[0], register.addresses[-1]
        address = f"0x{first:02x}" + (f" to 0x{last:02x}" if last > first else "")
        reset = "configured" if register.reset is None else _number(register.reset)
        fields = "".join(f" Bits {f.low + f.width - 1}..{f.low} `{f.name}`: {f.doc}" for f in register.fields)
        name = f"`{register.name}`" + (f"[{register.count}]" if register.count > 1 else "")
        rows.append(f"| {address} | {name} | {register.access} | {reset} | {register.doc}{fields} |")
    return "\n".join([*rows, ""])


def _number(value: int) -> str:
    return str(value) if value < 256 else f"0x{value:08x}"


def _record(register: Register) -> dict[str, Any]:
    return {
        "name": register.name,
        "address": register.address,
        "count": register.count,
        "access": register.access,
        "reset": register.reset,
        "description": register.doc,
        "fields": [{"name": f.name, "low": f.low, "width": f.width, "description": f.doc} for f in register.fields],
    }


def _fill(element: Element, values: Mapping[str, str]) -> None:
    for name, text in values.items():
        SubElement(element, name).text = text


#: Name of a format -> function that writes it.
FORMATS: Final[Mapping[str, Callable[[Map], str]]] = MappingProxyType(
    {"json": json_text, "c": c_header, "svd": svd, "md": markdown}
)
