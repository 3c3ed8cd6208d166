"""Interface of a user's core, as a board of design stream connects it: streams and registers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

from amaranth.hdl import Shape, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In

from ninefold.hdl.core import documented
from ninefold.hdl.stream_board.parameters import StreamBoardParameters
from ninefold.spec.errors import InputError
from ninefold.spec.link import PREFIX_BYTES
from ninefold.spec.registers import IDENTITY
from ninefold.spec.streams import (
    CORE_REGISTERS_MAX,
    CREDIT_BYTES,
    STREAMS_MAX,
    CoreRegister,
    PayloadField,
    StreamLayout,
    board_registers,
)

__all__ = ["Interface", "interface_of"]

_LAST: Final = "last"


@dataclass(frozen=True)
class Interface:
    """Streams and registers of a core.

    Attributes
    ----------
    streams : tuple of StreamLayout
        Streams in the order of their numbers: inputs, then outputs.
    registers : tuple of CoreRegister
        Registers in the order of their addresses.
    """

    streams: tuple[StreamLayout, ...]
    registers: tuple[CoreRegister, ...] = ()

    @property
    def inputs(self) -> tuple[StreamLayout, ...]:
        """Streams into the core."""
        return tuple(one for one in self.streams if one.input)

    @property
    def outputs(self) -> tuple[StreamLayout, ...]:
        """Streams out of the core."""
        return tuple(one for one in self.streams if not one.input)

    @property
    def credit_bytes(self) -> int:
        """Bytes of the credits of all streams at the end of a reply."""
        return CREDIT_BYTES * len(self.streams)

    def held(self, stream: StreamLayout, parameters: StreamBoardParameters) -> int:
        """Return the maximum number of payloads of an output in one reply."""
        return (parameters.reply_limit - PREFIX_BYTES - self.credit_bytes) // stream.payload_bytes

    def check(self, parameters: StreamBoardParameters) -> None:
        """Raise `InputError` unless a board of these parameters can hold the core."""
        for one in self.streams:
            name, size, p = f"a payload of {one.name} of {one.payload_bytes} bytes", one.payload_bytes, parameters
            if size > p.queue_bytes:
                raise InputError(f"queue_bytes must hold {name}, which {p.queue_bytes} does not")
            if one.input and size > p.request_limit - PREFIX_BYTES:
                raise InputError(
                    f"buffer_bytes must hold twice {size + PREFIX_BYTES + 4} bytes for {name}, "
                    f"which {p.buffer_bytes} does not"
                )
            if not one.input and self.held(one, p) < 1:
                needed = size + PREFIX_BYTES + self.credit_bytes + 4
                raise InputError(f"reply_bytes must hold {needed} bytes for {name}, which {p.reply_bytes} does not")
        identity = 8 + 4 * max(len(IDENTITY), len(self.registers)) + self.credit_bytes
        if identity > parameters.reply_bytes:
            raise InputError(f"reply_bytes must hold {identity} bytes, which {parameters.reply_bytes} does not")


def interface_of(core: Any) -> Interface:
    """Return the interface of an Amaranth component.

    Streams become queues. Every other input becomes a control register, whose value after a reset is the member's
    initial value, and every other output a status register.

    Parameters
    ----------
    core : wiring.Component
        The core. The section ``Members`` of its docstring gives the meaning of its registers.

    Raises
    ------
    InputError
        The core has no stream, too many streams or registers, or a member that is none.
    """
    streams: list[StreamLayout] = []
    registers: list[CoreRegister] = []
    meanings = _meanings(core)
    for name, member in core.signature.members.items():
        if member.is_signature and isinstance(member.signature, stream.Signature):
            streams.append(_stream(name, member.flow is In, getattr(core, name).payload))
        elif member.is_signature or member.dimensions:
            raise InputError(f"{name} must be a stream, or a register of up to 32 bits, not {member!r}")
        else:
            width, access = Shape.cast(member.shape).width, "rw" if member.flow is In else "r"
            if not 1 <= width <= 32:
                raise InputError(f"the register {name} must have 1 to 32 bits, not {width}")
            port = Value.cast(getattr(core, name))
            if name.lower() in (taken := sorted(one.name for one in board_registers(()))):
                raise InputError(f"a register must have another name than the board's {', '.join(taken)}, not {name!r}")
            initial = port.init if isinstance(port, Signal) and access == "rw" else 0
            reset = initial & ((1 << width) - 1)
            registers.append(CoreRegister(name, width, access, reset, meanings.get(name, "")))
    ordered = tuple(sorted(streams, key=lambda one: not one.input))
    if not 1 <= len(ordered) <= STREAMS_MAX:
        raise InputError(f"a core must have 1 to {STREAMS_MAX} streams, not {len(ordered)}")
    if len(registers) > CORE_REGISTERS_MAX:
        raise InputError(f"a core must have at most {CORE_REGISTERS_MAX} registers, not {len(registers)}")
    return Interface(ordered, tuple(registers))


def _meanings(core: Any) -> Mapping[str, str]:
    declared = getattr(core, "registers", None)
    if isinstance(declared, Mapping):
        return {name: one.doc for name, one in declared.items()}
    text = re.sub(
        r"^( *)Members\n *-+\n", r"\1Attributes\n\1----------\n", type(core).__doc__ or "", flags=re.MULTILINE
    )
    return documented(SimpleNamespace(__doc__=text))


def _stream(name: str, into: bool, payload: Any) -> StreamLayout:
    layout = payload.shape() if isinstance(payload, data.View) else data.StructLayout({"data": payload.shape()})
    fields = [found for key, part in layout for found in _fields(name, str(key), part.shape, part.offset)]
    last = bool(fields) and (fields[-1].name, fields[-1].width, fields[-1].shape) == (_LAST, 1, ())
    if last:
        fields.pop()
    if any(field.name == _LAST for field in fields):
        raise InputError(f"last of stream {name} must be its final field, of one bit")
    if not fields:
        raise InputError(f"stream {name} must have a field beside last")
    return StreamLayout(name, into, tuple(fields), last)


def _holds_structures(shape: Any) -> bool:
    while isinstance(shape, data.ArrayLayout):
        shape = shape.elem_shape
    return isinstance(shape, data.StructLayout)


def _fields(stream: str, name: str, shape: Any, offset: int) -> list[PayloadField]:
    if isinstance(shape, data.StructLayout):
        return [
            found for key, part in shape for found in _fields(stream, f"{name}_{key}", part.shape, offset + part.offset)
        ]
    if isinstance(shape, data.ArrayLayout) and _holds_structures(shape):
        elements = [(f"{name}_{i}", offset + part.offset, part.shape) for i, part in shape]
        return [found for element, at, part in elements for found in _fields(stream, element, part, at)]
    sizes: tuple[int, ...] = ()
    while isinstance(shape, data.ArrayLayout):
        sizes, shape = (*sizes, shape.length), shape.elem_shape
    if isinstance(shape, data.Layout):
        raise InputError(f"{stream}.{name} must be integers, arrays or structures of them, not {shape!r}")
    cast = Shape.cast(shape)
    if not 1 <= cast.width <= 64:
        raise InputError(f"{stream}.{name} must be integers of 1 to 64 bits, not {cast.width}")
    return [PayloadField(name, cast.width, cast.signed, sizes, offset)]
