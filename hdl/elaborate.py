"""Conversion of cores to reproducible RTLIL and Verilog."""

import contextlib
import gc
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from amaranth.back import rtlil as rtlil_backend
from amaranth.hdl import Elaboratable, Fragment, Signal
from amaranth.lib import wiring

from ninefold.hdl import foreign, yosys
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError

__all__ = ["allow_collisions", "digest", "rtlil", "uncollected", "verilog"]

_INTERNAL = "-remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding"
#: Commands of Amaranth's Verilog backend.
_TO_VERILOG: Final = (
    f"read_rtlil top.il; proc -nomux -norom; memory_collect; attrmap {_INTERNAL}; attrmap -modattr {_INTERNAL}; "
    "write_verilog -norename top.v"
)


def verilog(core: wiring.Component, name: str = "top", platform: Any = None) -> str:
    """Convert a core to Verilog.

    Ports are ``clk``, ``rst`` and, for each stream, ``NAME__payload`` (the first field in the least significant bits),
    ``NAME__valid`` and ``NAME__ready``. There are no ``src`` attributes, so the text is free of paths and reproducible.
    Attributes ``enum_value_BITS`` name the values of enumerations and the states of state machines. A Verilog module
    inside the core follows as its author wrote it.

    Parameters
    ----------
    core : wiring.Component
        Core to convert. A component is elaborated only once; construct a new one for another use.
    name : str
        Name of the top module: letters, digits and underscores, not a digit first.
    platform : object, optional
        Amaranth platform, which may provide memories.

    Raises
    ------
    InputError
        The name is invalid, or a Verilog module inside the core has it.
    ToolError
        Yosys fails to write the Verilog.
    """
    text = _converted(_Clocked(core, named=True), name, platform)
    inside = foreign.texts(text)
    if re.search(rf"^\s*module\s+{name}\b", inside, re.MULTILINE):
        raise InputError(f"name must not be {name}, which a Verilog module inside the core has")

    def build(folder: Path) -> None:
        (folder / "top.il").write_text(text)
        yosys.run(_TO_VERILOG, folder)
        (folder / "top.il").unlink()

    digest = digest_of(text, _TO_VERILOG, yosys.version())
    written = (BuildCache("verilog").get(digest, build) / "top.v").read_text()
    # Signals without bits, such as a counter of one word, are unused; Yosys would declare them with two bits.
    return re.sub(r"^ *(?:wire|reg) \[-1:0\] .*;\n", "", written, flags=re.MULTILINE) + inside


class _Clocked(Elaboratable):
    """Wrapper that adds a clock and a reset to a component without registers.

    Parameters
    ----------
    core : Any
        The component.
    named : bool
        Add attributes with the state names of state machines, as Amaranth does for enumerations.
    """

    def __init__(self, core: Any, *, named: bool = False) -> None:
        self._core = core
        self._named = named

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def elaborate(self, platform: Any) -> Fragment:
        """Elaborate the component."""
        fragment = Fragment.get(self._core, platform)
        if self._named:
            _name_states(fragment)
        if not _is_clocked(fragment):
            # Testbenches and harnesses drive the clock of every core.
            fragment.add_statements("sync", Signal(name="unused").eq(0))
        return fragment


def _is_clocked(fragment: Any) -> bool:
    """Return whether a fragment has registers, or an instance or a memory, which may have them."""
    if type(fragment) is not Fragment or set(fragment.statements) - {"comb"}:
        return True
    return any(_is_clocked(inner) for inner, *_ in fragment.subfragments)


def _name_states(fragment: Any) -> None:
    for machine in fragment.generated.values():
        # A state machine without states has a signal without bits.
        for state, value in getattr(machine, "encoding", {}).items():
            machine.state.attrs[f"enum_value_{value:0{len(machine.state)}b}"] = state
    for inner, *_ in fragment.subfragments:
        _name_states(inner)


def rtlil(core: wiring.Component, name: str = "top", platform: Any = None) -> str:
    """Convert a core to RTLIL, with ports and parameters as in `verilog`, and with the Verilog modules inside it."""
    return foreign.linked(_converted(core, name, platform))


def _converted(core: Any, name: str, platform: Any) -> str:
    _check_name(name)
    wrapped = core if isinstance(core, _Clocked) else _Clocked(core)
    with uncollected():
        return str(rtlil_backend.convert(wrapped, name=name, platform=platform, emit_src=False))


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Disable Python's cyclic garbage collector during elaboration.

    For a large design, Amaranth creates millions of objects that live until the end. The collector scans them
    repeatedly and would take as long as the elaboration itself.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def digest(core: wiring.Component) -> str:
    """Return the SHA-256 of the core's RTLIL, in hexadecimal."""
    return hashlib.sha256(rtlil(core).encode()).hexdigest()


def allow_collisions(text: str, apart: str = "") -> str:
    """Make the result of a read undefined if the same word is written in that cycle (a collision).

    Amaranth guarantees the old word, which block RAM does not provide. Yosys would therefore add registers, a
    comparison and multiplexers to each memory, a seventh of a small miner. No component of ``ninefold.hdl`` uses such a
    word. Queues and buffers read only words that were written before, replies are read after they are built, the engine
    reads only complete queries, and it does not read the store while it is written. Tests run the miner with memories
    that return a wrong word after each collision.

    Parameters
    ----------
    text : str
        RTLIL from Amaranth, of components that never use such a word.
    apart : str
        Pattern of the names of modules that stay as they are; empty for none.

    Returns
    -------
    str
        RTLIL with ``COLLISION_X_MASK`` set at each clocked read port.
    """
    # Parameters of a cell follow one another. A read without a clock sees the old word, and Yosys allows no mask.
    clocked = r"(?=(?:\n\s+parameter (?!\\CLK_ENABLE)[^\n]*)*\n\s+parameter \\CLK_ENABLE 1)"
    mask = r"(parameter \\COLLISION_X_MASK [1-9]\d*')(0+)" + clocked
    name = rf"module \\(?!(?:{apart})\s)" if apart else r"module "
    return re.sub(
        rf"^{name}.*?^end$",
        lambda module: re.sub(mask, lambda found: found[1] + "1" * len(found[2]), module[0]),
        text,
        flags=re.MULTILINE | re.DOTALL,
    )


def _check_name(name: str) -> None:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise InputError(f"name must be letters, digits and underscores, not a digit first, not {name!r}")
