"""What the codec raises."""

from ninefold.spec.errors import DeviceError

__all__ = ["ProtocolError"]


class ProtocolError(DeviceError):
    """Bytes that are not what the link allows; the message says what was found and what is allowed."""
