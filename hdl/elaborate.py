"""From a core to RTLIL and Verilog that depend on nothing but the core."""

import contextlib
import gc
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from amaranth.back import rtlil as rtlil_backend
from amaranth.hdl import Elaboratable, Fragment
from amaranth.lib import wiring

from ninefold.hdl import yosys
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

__all__ = ["allow_collisions", "digest", "rtlil", "uncollected", "verilog"]

_INTERNAL = "-remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding"
#: The commands of Amaranth's own Verilog backend.
_TO_VERILOG: Final = (
    f"read_rtlil top.il; proc -nomux -norom; memory_collect; attrmap {_INTERNAL}; attrmap -modattr {_INTERNAL}; "
    "write_verilog -norename top.v"
)


def verilog(core: wiring.Component, name: str = "top", platform: Any = None) -> str:
    """Return the core as Verilog.

    Ports are ``clk``, ``rst`` and, for each stream, ``NAME__payload`` (the first field in the least significant bits),
    ``NAME__valid`` and ``NAME__ready``. There are no ``src`` attributes, so the text is free of paths and reproducible.
    Attributes ``enum_value_BITS`` name the values of enumerations and the states of state machines.

    Parameters
    ----------
    core : wiring.Component
        The core. A component is elaborated once: make a new one for another use.
    name : str
        Name of the top module: letters, digits and underscores, not a digit first.
    platform : object, optional
        Passed to Amaranth, which asks it for memories.

    Raises
    ------
    InputError
        For another name.
    ToolError
        When Yosys, which writes the Verilog, fails.
    """
    with step(f"elaborating {type(core).__name__}"):
        text = _converted(_NamedStates(core), name, platform)

    def build(folder: Path) -> None:
        (folder / "top.il").write_text(text)
        with step(f"writing {type(core).__name__} as Verilog"):
            yosys.run(_TO_VERILOG, folder)
        (folder / "top.il").unlink()

    digest = digest_of(text, _TO_VERILOG, yosys.version())
    written = (BuildCache("verilog").get(digest, build) / "top.v").read_text()
    # A signal of no bits, such as a counter of one word, is used nowhere; Yosys would declare it with two.
    return re.sub(r"^ *(?:wire|reg) \[-1:0\] .*;\n", "", written, flags=re.MULTILINE)


class _NamedStates(Elaboratable):
    """A component that names the states of its state machines in attributes, as Amaranth does for enumerations."""

    def __init__(self, core: Any) -> None:
        self._core = core

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def elaborate(self, platform: Any) -> Fragment:
        """Elaborate the component."""
        fragment = Fragment.get(self._core, platform)
        _name_states(fragment)
        return fragment


def _name_states(fragment: Any) -> None:
    for machine in fragment.generated.values():
        # A machine without states has a signal of no bits.
        for state, value in getattr(machine, "encoding", {}).items():
            machine.state.attrs[f"enum_value_{value:0{len(machine.state)}b}"] = state
    for inner, *_ in fragment.subfragments:
        _name_states(inner)


def rtlil(core: wiring.Component, name: str = "top", platform: Any = None) -> str:
    """Return the core as RTLIL, Yosys' own format; ports and parameters as in `verilog`."""
    with step(f"elaborating {type(core).__name__}"):
        return _converted(core, name, platform)


def _converted(core: Any, name: str, platform: Any) -> str:
    _check_name(name)
    with uncollected():
        return str(rtlil_backend.convert(core, name=name, platform=platform, emit_src=False))


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Stop Python's collector of cycles while Amaranth elaborates.

    Of a large design Amaranth makes millions of objects that live until the end. The collector, which looks at all of
    them again and again, takes as long as the elaboration itself.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def digest(core: wiring.Component) -> str:
    """Return the SHA-256 of the core's RTLIL, in hexadecimal: it names what the core does and nothing else."""
    return hashlib.sha256(rtlil(core).encode()).hexdigest()


def allow_collisions(text: str) -> str:
    """Let what a memory's read port shows after a collision be anything: a read of the word that is being written.

    Amaranth promises the old word, which block RAM does not give by itself: Yosys adds registers, a comparison and
    multiplexers to each memory, a seventh of a small miner. No component of ``ninefold.hdl`` uses such a word: queues
    and buffers read only what pointers say was written before, kept replies are read when they are built, the engine
    reads the slot of a query that is complete, and does not read the store while it is written. Tests run the miner
    with memories that show a wrong word after each collision.

    Parameters
    ----------
    text : str
        RTLIL from Amaranth, of components that use no such word.

    Returns
    -------
    str
        The same, with ``COLLISION_X_MASK`` set at each read port.
    """
    return re.sub(r"(parameter \\COLLISION_X_MASK [1-9]\d*')(0+)", lambda found: found[1] + "1" * len(found[2]), text)


def _check_name(name: str) -> None:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise InputError(f"name must be letters, digits and underscores, not a digit first, not {name!r}")
