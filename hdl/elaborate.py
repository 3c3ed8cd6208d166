"""From a core to RTLIL and Verilog that depend on nothing but the core."""

import hashlib
import re

from amaranth.back import rtlil as rtlil_backend
from amaranth.back import verilog as verilog_backend
from amaranth.lib import wiring

from ninefold.spec.errors import InputError, tool_failure

__all__ = ["digest", "rtlil", "verilog"]


def verilog(core: wiring.Component, name: str = "top") -> str:
    """Return the core as Verilog.

    Ports are ``clk``, ``rst`` and, for each stream, ``NAME__payload`` (the first field in the least significant bits),
    ``NAME__valid`` and ``NAME__ready``. There are no ``src`` attributes, so the text is free of paths and reproducible.

    Parameters
    ----------
    core : wiring.Component
        The core. A component is elaborated once: make a new one for another use.
    name : str
        Name of the top module: letters, digits and underscores, not a digit first.

    Raises
    ------
    InputError
        For another name.
    ToolError
        When Yosys, which writes the Verilog, fails.
    """
    _check_name(name)
    try:
        text = str(verilog_backend.convert(core, name=name, emit_src=False, strip_internal_attrs=True))
    except Exception as error:
        # Whatever stopped Yosys, a full disk for instance, arrives as an exception of its packaging.
        said = str(error) or type(error).__name__
        raise tool_failure("Yosys could not write the Verilog", said, "Yosys") from error
    # A signal of no bits, such as a counter of one word, is used nowhere; Yosys would declare it with two.
    return re.sub(r"^ *(?:wire|reg) \[-1:0\] .*;\n", "", text, flags=re.MULTILINE)


def rtlil(core: wiring.Component, name: str = "top") -> str:
    """Return the core as RTLIL, Yosys' own format; ports and parameters as in `verilog`."""
    _check_name(name)
    return str(rtlil_backend.convert(core, name=name, emit_src=False))


def digest(core: wiring.Component) -> str:
    """Return the SHA-256 of the core's RTLIL, in hexadecimal: it names what the core does and nothing else."""
    return hashlib.sha256(rtlil(core).encode()).hexdigest()


def _check_name(name: str) -> None:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise InputError(f"name must be letters, digits and underscores, not a digit first, not {name!r}")
