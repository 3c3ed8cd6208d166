"""Modules of a Verilog text with their ports, as Yosys reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ninefold.hdl import foreign, yosys
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError, did_you_mean

__all__ = ["Module", "Port", "elaborated", "module_of"]

#: Every module at its default parameters.
_ALL: Final = f"{foreign.READ} all.v; proc; write_json modules.json"
#: One module at given parameters.
_ONE: Final = f"{foreign.READ} -defer all.v; hierarchy -top {{name}}{{parameters}}; proc; write_json modules.json"


@dataclass(frozen=True)
class Port:
    """Port of a module.

    Attributes
    ----------
    name : str
        Name.
    input : bool
        True for an input, False for an output.
    bits : int
        Width.
    """

    name: str
    input: bool
    bits: int

    def __str__(self) -> str:
        """Return the port as a declaration without its keyword's type."""
        width = f" [{self.bits - 1}:0]" if self.bits > 1 else ""
        return f"{'input' if self.input else 'output'}{width} {self.name}"


@dataclass(frozen=True)
class Module:
    """Module of a Verilog text.

    Attributes
    ----------
    name : str
        Name.
    ports : mapping of str to Port
        Ports by name, in the order of declaration.
    parameters : tuple of str
        Names of its parameters.
    """

    name: str
    ports: Mapping[str, Port]
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        """Return the module with its ports, for messages."""
        return f"{self.name} has {', '.join(map(str, self.ports.values())) or 'no ports'}"


def module_of(text: str, name: str) -> Module:
    """Return a module of a text, at its default parameters.

    Parameters
    ----------
    text : str
        The Verilog.
    name : str
        Name of the module; empty for the only one that no other instantiates.

    Raises
    ------
    InputError
        Yosys refuses the text, there is no such module, or there is not exactly one top.
    """
    found = _modules(text, _ALL)
    inner = {cell["type"] for module in found.values() for cell in module.get("cells", {}).values()}
    tops = [one for one in found if one not in inner]
    if name and name not in found:
        there = ", ".join(found) or "no module"
        raise InputError(f"there is no module {name!r}: the files define {there}{did_you_mean(name, found)}")
    if not name and len(tops) != 1:
        raise InputError(
            f"module must be named, because {', '.join(tops) or 'no module'} could be the top: "
            f"the files define {', '.join(found) or 'no module'}"
        )
    return _module(name or tops[0], found)


def elaborated(text: str, module: Module, parameters: Mapping[str, int | str]) -> Module:
    """Return a module with the ports that it has at other parameters.

    Raises
    ------
    InputError
        The module does not have a parameter, or Yosys refuses a value.
    """
    for name in parameters:
        if name not in module.parameters:
            has = f"its parameters are {', '.join(module.parameters)}" if module.parameters else "it has no parameters"
            raise InputError(f"module {module.name} has no parameter {name!r}: {has}")
    if not parameters:
        return module
    given = "".join(f" -chparam {name} {_value(value)}" for name, value in parameters.items())
    return _module(module.name, _modules(text, _ONE.format(name=module.name, parameters=given)), module.parameters)


def _module(name: str, found: Mapping[str, Any], parameters: tuple[str, ...] | None = None) -> Module:
    ports: dict[str, Port] = {}
    for port, one in found[name].get("ports", {}).items():
        if one["direction"] not in ("input", "output"):
            raise InputError(f"port {port} of {name} must be an input or an output, not {one['direction']}")
        ports[port] = Port(port, one["direction"] == "input", len(one["bits"]))
    return Module(
        name, ports, tuple(found[name].get("parameter_default_values", {})) if parameters is None else parameters
    )


def _modules(text: str, script: str) -> dict[str, Any]:
    def build(folder: Path) -> None:
        foreign.read_verilog(script, folder, all=text)

    entry = BuildCache("foreign-modules").get(digest_of(text, script, yosys.version()), build)
    modules = json.loads((entry / "modules.json").read_text())["modules"]
    return {name: one for name, one in modules.items() if not name.startswith("$")}


def _value(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(int(value))
