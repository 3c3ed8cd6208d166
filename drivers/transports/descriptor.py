"""Byte stream on a file descriptor: socket, serial port or pseudo-terminal."""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Callable

from ninefold.spec.errors import LostDeviceError

__all__ = ["DescriptorTransport"]

#: Maximum number of bytes read ahead while a write waits; more stays in the operating system's buffer.
_AHEAD_BYTES = 1 << 20


class DescriptorTransport:
    """Byte stream on a non-blocking file descriptor.

    A write that has to wait reads incoming bytes meanwhile, so that two ends that both write cannot deadlock.

    Parameters
    ----------
    descriptor : int
        Open, non-blocking file descriptor.
    name : str
        Name used in errors.
    close : callable
        Function that closes the stream.
    """

    def __init__(self, descriptor: int, name: str, close: Callable[[], None]) -> None:
        self.name = name
        self._descriptor = descriptor
        self._close = close
        self._ahead = bytearray()
        self._closed = False

    def read(self, size: int, timeout_s: float) -> bytes:
        """Return 1 to `size` bytes, or none after `timeout_s` seconds.

        Raises
        ------
        LostDeviceError
            The stream has ended.
        """
        self._check_open()
        if not self._ahead and self._wait(select.POLLIN, timeout_s)[0]:
            self._receive(size)
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        return taken

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all of `data`.

        Raises
        ------
        LostDeviceError
            The stream has ended, or does not accept the data in time.
        """
        self._check_open()
        deadline = time.monotonic() + timeout_s
        left = memoryview(data)
        while left:
            events = select.POLLOUT | (select.POLLIN if len(self._ahead) < _AHEAD_BYTES else 0)
            readable, writable = self._wait(events, deadline - time.monotonic())
            if writable:
                left = left[self._send(left) :]
            elif readable:
                self._receive(1 << 16)
            if left and time.monotonic() >= deadline:
                taken = len(data) - len(left)
                raise LostDeviceError(f"{self.name} took {taken} of {len(data)} bytes in {timeout_s:g} s")

    @property
    def ended(self) -> bool:
        """True if the stream is closed, or known to be closed by the other end; nothing is waited for."""
        try:
            self._check_open()
            if self._wait(select.POLLIN, 0.0)[0]:
                self._receive(_AHEAD_BYTES)
        except LostDeviceError:
            return True
        return False

    def close(self) -> None:
        """Close the stream; do nothing if it is closed already."""
        if not self._closed:
            self._closed = True
            self._close()

    def _wait(self, events: int, timeout_s: float) -> tuple[bool, bool]:
        """Return readability and writability; a stream that has ended is both, and then reports its end."""
        poll = select.poll()
        poll.register(self._descriptor, events)
        happened = poll.poll(math.ceil(1000 * max(0.0, timeout_s)))
        if not happened:
            return False, False
        ((_, seen),) = happened
        ended = bool(seen & (select.POLLHUP | select.POLLERR | select.POLLNVAL))
        return ended or bool(seen & select.POLLIN), ended or bool(seen & select.POLLOUT)

    def _send(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise LostDeviceError(f"{self.name} is gone: {error.strerror}") from error

    def _receive(self, size: int) -> None:
        try:
            data = os.read(self._descriptor, size)
        except BlockingIOError:
            return
        except OSError as error:
            raise LostDeviceError(f"{self.name} is gone: {error.strerror}") from error
        if not data:
            raise LostDeviceError(f"{self.name} was closed by the other end")
        self._ahead += data

    def _check_open(self) -> None:
        if self._closed:
            raise LostDeviceError(f"{self.name} is closed")
