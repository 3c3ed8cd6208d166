"""What the streams of the link carry."""

from amaranth.lib import data

__all__ = ["BYTE", "FRAME_BYTE", "HEADER", "PIECE"]

#: A byte as it is sent.
BYTE = data.StructLayout({"data": 8})
#: A byte of a frame before its CRC is added.
FRAME_BYTE = data.StructLayout({"data": 8, "last": 1})
#: A byte of a frame, or its end, which carries none.
PIECE = data.StructLayout({"data": 8, "end": 1, "damaged": 1})
#: Header of a frame that arrived whole; ``crc`` tells it from others, ``length`` is that of its payload in bytes.
HEADER = data.StructLayout({"type": 8, "sequence": 8, "priority": 8, "epoch": 8, "crc": 32, "length": 16})
