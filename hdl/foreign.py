"""Verilog modules inside Amaranth components: joined to a design's RTLIL, or to its Verilog as they are written."""

import re
from pathlib import Path
from typing import Final

from ninefold.hdl import yosys
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError, ToolError

__all__ = ["PREFIX", "READ", "add", "linked", "read_verilog", "refusal", "texts"]

#: Start of the name of a module that `add` registered; the rest is the digest of its text.
PREFIX: Final = "foreign_"
#: Options of every `read_verilog`. Assertions are the author's, and no part of the hardware.
READ: Final = "read_verilog -sv -noassert -noassume"
# One module without hierarchy, so that its parts share no names with other modules of the design.
_CONVERT: Final = (
    f"{READ} -defer unit.v; hierarchy -check -top {{name}}; proc; flatten; delete t:$print t:$check t:$scopeinfo; "
    "opt_clean; write_rtlil unit.il"
)
_CELL: Final = re.compile(rf"^\s*cell \\({PREFIX}[0-9a-f]+) ", re.MULTILINE)
_texts: dict[str, str] = {}


def add(text: str) -> str:
    """Register a Verilog text whose top module is named ``UNIT``, and return the name that an instance must have."""
    name = f"{PREFIX}{digest_of(text)[:16]}"
    _texts[name] = text.replace("UNIT", name, 1)
    return name


def texts(rtlil: str) -> str:
    """Return the Verilog of the registered modules that a design instantiates; empty without one."""
    return "\n".join(_texts[name] for name in _used(rtlil))


def linked(rtlil: str) -> str:
    """Return a design with the RTLIL of the registered modules that it instantiates.

    Raises
    ------
    InputError
        Yosys refused a module; the message has its first error, with file and line.
    UnavailableError
        Yosys is not installed.
    """
    return "".join([rtlil, *(f"\n{_converted(name)}" for name in _used(rtlil))])


def read_verilog(script: str, folder: Path, **files: str) -> None:
    """Run a script of Yosys that reads the user's Verilog from `files`.

    Raises
    ------
    InputError
        Yosys refused it; the message has the first error, with file and line.
    """
    for name, text in files.items():
        (folder / f"{name}.v").write_text(text)
    try:
        yosys.run(script, folder)
    except ToolError as error:
        raise InputError(refusal("Yosys", str(error))) from error
    for name in files:
        (folder / f"{name}.v").unlink()


def refusal(tool: str, said: str) -> str:
    """Return the message for Verilog that a tool refused: its first error, with file and line."""
    found = re.search(r"^(?:(\S.*?:\d+): ERROR|%Error[^:]*: (\S+?:\d+)(?::\d+)?): *(.*)", said, re.MULTILINE)
    if found is not None:
        return f"{tool} refuses {found[1] or found[2]}: {found[3]}"
    plain = re.search(r"^(?:ERROR|%Error[^:]*): *(.*)", said, re.MULTILINE)
    return f"{tool} refuses the Verilog: {plain[1] if plain else said}"


def _used(rtlil: str) -> list[str]:
    return list(dict.fromkeys(_CELL.findall(rtlil)))


def _converted(name: str) -> str:
    script = _CONVERT.format(name=name)

    def build(folder: Path) -> None:
        read_verilog(script, folder, unit=_texts[name])

    digest = digest_of(_texts[name], script, yosys.version())
    return (BuildCache("foreign").get(digest, build) / "unit.il").read_text()
