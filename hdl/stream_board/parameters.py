"""Parameters of a board of design stream."""

from dataclasses import dataclass

from ninefold.hdl.checks import check_integer
from ninefold.spec.errors import InputError

__all__ = ["StreamBoardParameters"]


@dataclass(frozen=True)
class StreamBoardParameters:
    """Parameters of a board of design stream.

    Attributes
    ----------
    clock_hz : int
        Frequency of the clock in Hz.
    window : int
        Number of kept replies, a power of two from 2 to 16.
    buffer_bytes : int
        Size of the receive buffer in bytes, a power of two. The longest request takes half of it, so that one is
        received while the previous one is executed.
    reply_bytes : int
        Maximum size of a kept reply in bytes, a power of two from 256.
    queue_bytes : int
        Size of the queue of each stream in bytes, a power of two from 16. A payload must fit.
    digest : bytes
        Identity of the build, 32 bytes.

    Raises
    ------
    InputError
        A parameter outside what is allowed.
    """

    clock_hz: int = 100_000_000
    window: int = 2
    buffer_bytes: int = 1024
    reply_bytes: int = 256
    queue_bytes: int = 512
    digest: bytes = bytes(32)

    def __post_init__(self) -> None:
        check_integer("clock_hz", self.clock_hz, 1, 2**32 - 1)
        for name, value, low, high in (
            ("window", self.window, 2, 16),
            ("buffer_bytes", self.buffer_bytes, 64, 32768),
            ("reply_bytes", self.reply_bytes, 256, 16384),
            ("queue_bytes", self.queue_bytes, 16, 32768),
        ):
            check_integer(name, value, low, high)
            if value & (value - 1):
                raise InputError(f"{name} must be a power of two, not {value}")
        if len(self.digest) != 32:
            raise InputError(f"digest must have 32 bytes, not {len(self.digest)}")

    @property
    def request_limit(self) -> int:
        """Longest payload of a request in bytes."""
        return self.buffer_bytes // 2 - 4

    @property
    def reply_limit(self) -> int:
        """Longest payload of a reply in bytes."""
        return self.reply_bytes - 4
