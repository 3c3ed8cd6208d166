"""Streams of a core as data, and the conversion between arrays and beats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.errors import InputError

__all__ = ["Field", "Stream", "streams_of"]


@dataclass(frozen=True)
class Field:
    """Field of a payload.

    Attributes
    ----------
    name : str
        Name in the core's layout.
    bits : int
        Width.
    signed : bool
        True for a two's complement number.
    offset : int
        Position of the least significant bit in the payload.
    """

    name: str
    bits: int
    signed: bool
    offset: int


@dataclass(frozen=True)
class Stream:
    """Stream of a core.

    Attributes
    ----------
    name : str
        Name; the ports are ``NAME__payload``, ``NAME__valid`` and ``NAME__ready``.
    input : bool
        True if beats enter the core.
    fields : tuple of Field
        The payload, least significant field first.
    """

    name: str
    input: bool
    fields: tuple[Field, ...]

    @property
    def bits(self) -> int:
        """Width of the payload in bits."""
        return sum(field.bits for field in self.fields)

    @property
    def beat_bytes(self) -> int:
        """Size of a stored beat in bytes, as of Verilator's port: 1, 2, 4, 8 or a larger multiple of 4."""
        bits = self.bits
        return next((size for size in (1, 2, 4, 8) if bits <= 8 * size), 4 * -(-bits // 32))

    def pack(self, count: int, columns: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """Return columns as beats, uint8 of shape (count, beat_bytes), little endian.

        Parameters
        ----------
        count : int
            Number of beats.
        columns : mapping of str to array
            For each field, integers of shape (count,), or its bits as bytes, uint8 of shape (count, ceil(bits / 8)),
            least significant first. Integers are truncated to their low `bits` bits; in bytes the higher bits must
            be 0.

        Raises
        ------
        InputError
            A field is missing, a column has another shape, or a field of a beat of more than 64 bits does not begin on
            a byte.
        """
        if set(columns) != {field.name for field in self.fields}:
            raise InputError(f"{self.name} needs {', '.join(f.name for f in self.fields)}, not {', '.join(columns)}")
        if self.beat_bytes <= 8:
            words = np.zeros(count, f"<u{self.beat_bytes}")
            for field in self.fields:
                column = self._narrow(field, np.asarray(columns[field.name]), words.dtype)
                self._check(field, column, (count,))
                words |= (column & words.dtype.type(2**field.bits - 1)) << words.dtype.type(field.offset)
            return words.view(np.uint8).reshape(count, self.beat_bytes)
        beats = np.zeros((count, self.beat_bytes), np.uint8)
        for field in self.fields:
            column = np.asarray(columns[field.name])
            start, size = field.offset // 8, -(-field.bits // 8)
            if field.offset % 8:
                raise InputError(f"{self.name}.{field.name} must begin on a byte, not on bit {field.offset}")
            if column.ndim == 1:
                whole = column.astype("<u8") & np.uint64(2 ** min(field.bits, 64) - 1)
                column = np.ascontiguousarray(whole).view(np.uint8).reshape(-1, 8)[:, :size]
            self._check(field, column, (count, size))
            beats[:, start : start + size] = column
        return beats

    def unpack(self, beats: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.int64]]:
        """Return each field of beats of at most 64 bits as int64 of shape (count,); signed fields are sign-extended."""
        if self.beat_bytes > 8:
            raise InputError(f"{self.name} must have at most 64 bits to be unpacked, not {self.bits}")
        words = np.ascontiguousarray(beats).view(f"<u{self.beat_bytes}").reshape(-1)
        out = {}
        for field in self.fields:
            value = ((words >> words.dtype.type(field.offset)) & words.dtype.type(2**field.bits - 1)).astype(np.int64)
            if field.signed:
                unused = 64 - field.bits
                value = (value << unused) >> unused
            out[field.name] = value
        return out

    def unpack_bytes(self, beats: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8]:
        """Return the field `name`, which must be whole bytes, as uint8 of shape (count, bits / 8)."""
        field = next(f for f in self.fields if f.name == name)
        if field.offset % 8 or field.bits % 8:
            raise InputError(f"{self.name}.{name} must be whole bytes, not {field.bits} bits at bit {field.offset}")
        return beats[:, field.offset // 8 : (field.offset + field.bits) // 8]

    def to_json(self) -> dict[str, Any]:
        """Return the stream as JSON values."""
        fields = [[field.name, field.bits, field.signed] for field in self.fields]
        return {"name": self.name, "input": self.input, "fields": fields}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Stream:
        """Return the stream that `to_json` returned as JSON values."""
        fields: list[Field] = []
        for name, bits, signed in value["fields"]:
            fields.append(Field(name, bits, signed, sum(f.bits for f in fields)))
        return cls(value["name"], value["input"], tuple(fields))

    def _narrow(self, field: Field, column: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        if column.ndim != 2:
            return column.astype(dtype)
        self._check(field, column, (len(column), -(-field.bits // 8)))
        whole = np.zeros((len(column), dtype.itemsize), np.uint8)
        whole[:, : column.shape[1]] = column
        return whole.view(dtype).reshape(-1)

    def _check(self, field: Field, column: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
        if column.shape != shape:
            raise InputError(f"{self.name}.{field.name} must have shape {shape}, not {column.shape}")


def streams_of(core: Any) -> tuple[Stream, ...]:
    """Return the streams of an Amaranth component, in the order of its signature.

    Raises
    ------
    InputError
        A member is not a stream with a `data.StructLayout`.
    """
    from amaranth.hdl import Shape
    from amaranth.lib import data, stream
    from amaranth.lib.wiring import In

    found = []
    for name, member in core.signature.members.items():
        if not (member.is_signature and isinstance(member.signature, stream.Signature)):
            raise InputError(f"{name} must be a stream, not {member!r}")
        payload = getattr(core, name).payload
        layout = payload.shape() if isinstance(payload, data.View) else payload
        if not isinstance(layout, data.StructLayout):
            raise InputError(f"{name} must carry a StructLayout, not {layout!r}")
        widths = []
        for key, field in layout:
            shape = Shape.cast(field.shape)
            widths.append([key, shape.width, shape.signed])
        found.append(Stream.from_json({"name": name, "input": member.flow is In, "fields": widths}))
    return tuple(found)
