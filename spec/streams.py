"""Boards of design stream: the streams of a user's core, its registers, and the register map around them.

A payload of a stream is its fields, the least significant bit first, padded to whole bytes. For a stream with packets,
a byte follows whose bit 0 is set if the payload ends one. Streams are numbered, inputs first. Every reply of such a
board ends with one u16 a stream, its credit: the number of payloads that an input has room for, or that wait at an
output.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Final

from .registers import BY_NAME, Bits, Register

__all__ = [
    "CORE_REGISTERS",
    "CORE_REGISTERS_MAX",
    "CREDIT_BYTES",
    "STREAMS_MAX",
    "CoreRegister",
    "PayloadField",
    "StreamLayout",
    "board_registers",
    "layout_check",
]

#: Size of a stream's credit in bytes.
CREDIT_BYTES: Final = 2
#: Maximum number of streams of a core.
STREAMS_MAX: Final = 16
#: Word address of the core's first register, and the maximum number of its registers.
CORE_REGISTERS: Final = 0x40
CORE_REGISTERS_MAX: Final = 48
#: Registers that a board of design stream shares with the others, at the same addresses.
_SHARED: Final = (
    "magic",
    "version",
    "digest",
    "window",
    "limits",
    "clock_hz",
    "design",
    "epoch",
    "control",
    "cycles_low",
    "cycles_high",
    "crc_errors",
    "dropped",
    "temperature",
)


@dataclass(frozen=True)
class PayloadField:
    """Field of a payload: one integer, or an array of equal integers.

    Attributes
    ----------
    name : str
        Name.
    bits : int
        Width of an integer, 1 to 64.
    signed : bool
        True for two's complement.
    shape : tuple of int
        Shape of the array; empty for one integer.
    offset : int
        Position of the least significant bit in the payload.
    """

    name: str
    bits: int
    signed: bool
    shape: tuple[int, ...]
    offset: int

    @property
    def width(self) -> int:
        """Bits of all integers."""
        return self.bits * prod(self.shape)


@dataclass(frozen=True)
class StreamLayout:
    """Stream of a core, as its payloads are sent.

    Attributes
    ----------
    name : str
        Name.
    input : bool
        True if payloads enter the core.
    fields : tuple of PayloadField
        Fields of a payload, the least significant first.
    last : bool
        The stream has packets.
    """

    name: str
    input: bool
    fields: tuple[PayloadField, ...]
    last: bool

    @property
    def bits(self) -> int:
        """Bits of a payload, without ``last``."""
        return sum(field.width for field in self.fields)

    @property
    def data_bytes(self) -> int:
        """Bytes of the fields."""
        return -(-self.bits // 8)

    @property
    def payload_bytes(self) -> int:
        """Bytes of a payload."""
        return self.data_bytes + self.last

    def to_json(self) -> dict[str, Any]:
        """Return the stream as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StreamLayout:
        """Return the stream that `to_json` returned as JSON values."""
        fields = tuple(PayloadField(**{**field, "shape": tuple(field["shape"])}) for field in value["fields"])
        return cls(value["name"], value["input"], fields, value["last"])


@dataclass(frozen=True)
class CoreRegister:
    """Register of a user's core, one word at most.

    Attributes
    ----------
    name : str
        Name of the core's port.
    bits : int
        Width, 1 to 32.
    access : {'r', 'rw'}
        ``rw`` for a control register, an input of the core; ``r`` for a status register, an output of the core.
    reset : int
        Value of a control register after a reset.
    doc : str
        Meaning, with the unit.
    """

    name: str
    bits: int
    access: str
    reset: int = 0
    doc: str = ""


def layout_check(streams: Sequence[StreamLayout], registers: Sequence[CoreRegister] = ()) -> int:
    """Return the check of a core's interface, which its board holds in the register ``layout``.

    It is zlib's CRC-32 of a JSON text: a list of the streams, inputs first, and a list of the registers without their
    meaning, with sorted keys and without spaces.
    """
    own = [{key: value for key, value in asdict(one).items() if key != "doc"} for one in registers]
    text = json.dumps([[one.to_json() for one in streams], own], sort_keys=True, separators=(",", ":"))
    return zlib.crc32(text.encode())


def board_registers(core: Sequence[CoreRegister] = ()) -> tuple[Register, ...]:
    """Return the register map of a board of design stream.

    Parameters
    ----------
    core : sequence of CoreRegister
        Registers of the core, in the order of their addresses.
    """
    own = (
        Register(
            "streams",
            BY_NAME["dimensions"].address,
            "r",
            "Number of streams of the core.",
            fields=(Bits("inputs", 0, 8, "Inputs, numbered from 0."), Bits("outputs", 8, 8, "Outputs, after them.")),
        ),
        Register(
            "layout", BY_NAME["lanes"].address, "r", "Check of the core's streams and registers, by name and width."
        ),
        Register("turn", 0x1E, "r", "Number of PUSH and PULL requests executed since reset, modulo 256.", 0),
    )
    cores = (
        Register(
            one.name,
            CORE_REGISTERS + number,
            "rw" if one.access == "rw" else "r",
            one.doc or f"{'Control' if one.access == 'rw' else 'Status'} register of the core.",
            one.reset if one.access == "rw" else None,
            fields=(Bits("value", 0, one.bits, "Its value."),) if one.bits < 32 else (),
        )
        for number, one in enumerate(core)
    )
    return (*sorted((*(BY_NAME[name] for name in _SHARED), *own), key=lambda one: one.address), *cores)
