"""Error of the codec."""

from ninefold.spec.errors import DeviceError

__all__ = ["ProtocolError"]


class ProtocolError(DeviceError):
    """Bytes that the link does not allow; the message gives the value and the allowed values."""
