"""Payload layouts of the streams of the link."""

from amaranth.lib import data

__all__ = ["BYTE", "FRAME_BYTE", "HEADER", "PIECE"]

#: Byte as transmitted.
BYTE = data.StructLayout({"data": 8})
#: Byte of a frame before the CRC is added.
FRAME_BYTE = data.StructLayout({"data": 8, "last": 1})
#: Byte of a frame, or the end of a frame without a byte.
PIECE = data.StructLayout({"data": 8, "end": 1, "damaged": 1})
#: Header of a valid frame. ``crc`` identifies its content; ``length`` is the size of its payload in bytes.
HEADER = data.StructLayout({"type": 8, "sequence": 8, "priority": 8, "epoch": 8, "crc": 32, "length": 16})
