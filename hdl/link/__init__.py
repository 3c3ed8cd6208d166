"""Link on the fabric: frames to bytes and back."""

from ninefold.hdl.link.cobs import CobsDecoder, CobsEncoder
from ninefold.hdl.link.receiver import FrameReceiver
from ninefold.hdl.link.sender import FrameSender
from ninefold.hdl.link.uart import UartReceiver, UartTransmitter

__all__ = ["CobsDecoder", "CobsEncoder", "FrameReceiver", "FrameSender", "UartReceiver", "UartTransmitter"]
