"""Registers that a user declares for a Verilog module: ports that are no streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib.wiring import In, Member, Out

from ninefold.hdl.own.modules import Module, Port
from ninefold.spec.errors import InputError
from ninefold.spec.streams import CoreRegister

__all__ = ["ControlRegister", "StatusRegister", "port_of"]


@dataclass(frozen=True)
class _Register:
    shape: Any
    doc: str = ""
    reset: int = 0
    port: str = ""
    control: bool = True

    @property
    def bits(self) -> int:
        """Width."""
        return int(Shape.cast(self.shape).width)

    @property
    def member(self) -> Member:
        """The register as a member of the core's signature."""
        return In(self.bits, init=self.reset) if self.control else Out(self.bits)

    def described(self, name: str) -> CoreRegister:
        """Return the register as the driver knows it."""
        return CoreRegister(name, self.bits, "rw" if self.control else "r", self.reset, self.doc)


def ControlRegister(  # noqa: N802 - it stands for a class in declarations
    shape: Any, doc: str = "", *, reset: int = 0, port: str = ""
) -> _Register:
    """Declare a control register: an input of a Verilog module that the host writes.

    Parameters
    ----------
    shape : shape-like
        Shape of at most 32 bits, e.g. ``8`` or ``unsigned(8)``.
    doc : str
        Meaning, with the unit.
    reset : int
        Value after a reset; also in tests of the core alone.
    port : str
        Name of the port, if it differs from the name of the register.

    Raises
    ------
    InputError
        The shape or the value is not allowed.
    """
    return _checked(_Register(shape, doc, reset, port))


def StatusRegister(shape: Any, doc: str = "", *, port: str = "") -> _Register:  # noqa: N802 - as above
    """Declare a status register: an output of a Verilog module that the host reads; as `ControlRegister`."""
    return _checked(_Register(shape, doc, 0, port, control=False))


def _checked(one: _Register) -> _Register:
    try:
        bits = one.bits
    except TypeError as error:
        raise InputError(f"a register must have an Amaranth shape, e.g. unsigned(8), not {one.shape!r}") from error
    if not 1 <= bits <= 32:
        raise InputError(f"a register must have 1 to 32 bits, not {bits}")
    if not 0 <= one.reset < 1 << bits:
        raise InputError(
            f"the reset value of a register of {bits} bits must be 0 to {(1 << bits) - 1}, not {one.reset}"
        )
    return one


def port_of(module: Module, name: str, one: _Register) -> Port:
    """Return the port of a register.

    Raises
    ------
    InputError
        There is none, or it has another direction or width.
    """
    port = module.ports.get(one.port or name)
    kind = "an input" if one.control else "an output"
    if port is None:
        raise InputError(f"{module.name} has no port {one.port or name!r} for the register {name}; {module}")
    if port.input != one.control or port.bits != one.bits:
        raise InputError(f"the register {name} of {module.name} needs {kind} of {one.bits} bits, not `{port}`")
    return port
