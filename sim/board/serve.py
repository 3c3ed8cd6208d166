"""Serving of a board's byte stream to other processes, on a pseudo-terminal or a local TCP port."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pty
import select
import socket
import time
import tty
from collections import deque
from collections.abc import Callable

from ninefold.drivers.transports.greeting import admits
from ninefold.spec.errors import InputError
from ninefold.spec.link import DELIMITER
from ninefold.spec.protocols import Transport

__all__ = ["serve_descriptor", "serve_pty", "serve_tcp"]

#: Time of one wait for bytes from the host, and of one wait for bytes from the board.
_WAIT_S = 0.02
_CHUNK_BYTES = 1 << 12
#: Time without a byte after which the board is not simulated until the host sends one. A board never sends without a
#: request, and has finished every request by then.
_ASLEEP_S = 10.0
#: Time without a byte after which a host gives way to one that waits; and time after which it does so between two
#: requests, or in a pause of two waits, as lost frames leave requests without replies.
_QUIET_S = 1.0
_TURN_S = 30.0
#: Hosts that may wait for a turn; further ones wait to be accepted.
_HOSTS = 16


def serve_descriptor(
    board: Transport, descriptor: int, stop: Callable[[], bool], waiting: Callable[[], bool] = lambda: False
) -> None:
    """Pass bytes both ways between a board and an open descriptor until the connection ends or `stop` returns true.

    Parameters
    ----------
    board : Transport
        The board.
    descriptor : int
        Descriptor of a socket or pseudo-terminal; it is made non-blocking.
    stop : callable
        ``stop()`` returns true to end serving; called several times a second.
    waiting : callable
        ``waiting()`` returns whether another host waits, to which this one gives way while it is quiet: its requests
        have been answered then.
    """
    os.set_blocking(descriptor, False)
    to_host, last = b"", time.monotonic()
    began = last
    asked, answered = _Frames(), _Frames()
    while not stop():
        now = time.monotonic()
        over = now - began >= _TURN_S
        quiet = 2 * _WAIT_S if over else _QUIET_S
        # A host that asks without a pause gives way between two requests, once its turn is over.
        idle = over and answered.count >= asked.count
        if not to_host and (idle or now - last > quiet) and waiting():
            return
        asleep = not to_host and time.monotonic() - last > _ASLEEP_S
        patience = _WAIT_S if asleep else 0
        readable, writable, _ = select.select([descriptor], [descriptor] if to_host else [], [], patience)
        if asleep and not readable:
            continue
        if writable:
            with contextlib.suppress(BlockingIOError):
                to_host = to_host[os.write(descriptor, to_host) :]
        if readable:
            # No data means that a connection ended; a pseudo-terminal never ends, as its other end is kept open.
            data = os.read(descriptor, _CHUNK_BYTES)
            if not data:
                return
            board.write(data, _WAIT_S * 1000)
            asked.add(data)
            last = time.monotonic()
        if len(to_host) < _CHUNK_BYTES:
            data = board.read(_CHUNK_BYTES, 0.0 if to_host else _WAIT_S)
            answered.add(data)
            to_host += data
        last = time.monotonic() if to_host else last


class _Frames:
    """Number of frames in a byte stream, each ended by a delimiter."""

    def __init__(self) -> None:
        self.count = 0
        self._inside = False

    def add(self, data: bytes) -> None:
        """Count the frames that end in the next bytes of the stream."""
        *ended, last = data.split(bytes([DELIMITER]))
        for piece in ended:
            self.count += bool(piece) or self._inside
            self._inside = False
        self._inside |= bool(last)


def serve_pty(board: Transport, ready: Callable[[str], None], stop: Callable[[], bool]) -> None:
    """Serve a board on a new pseudo-terminal.

    Parameters
    ----------
    board : Transport
        The board.
    ready : callable
        Called with the URL for `ninefold.drivers.transports.open_transport`.
    stop : callable
        ``stop()`` returns true to end serving; called several times a second.
    """
    # The host's end stays open here too, so that hosts can disconnect and reconnect.
    ours, theirs = pty.openpty()
    try:
        tty.setraw(theirs)
        ready(f"serial://{os.ttyname(theirs)}")
        serve_descriptor(board, ours, stop)
    finally:
        os.close(ours)
        os.close(theirs)


def serve_tcp(
    board: Transport,
    port: int,
    ready: Callable[[str], None],
    stop: Callable[[], bool],
    host: str = "127.0.0.1",
    key: str = "",
) -> None:
    """Serve a board on a TCP port, one host at a time; a quiet one gives way to one that waits.

    Parameters
    ----------
    board : Transport
        The board.
    port : int
        1 to 65535, or 0 for a free port.
    ready : callable
        Called with the URL for `ninefold.drivers.transports.open_transport`.
    stop : callable
        ``stop()`` returns true to end serving; called several times a second.
    host : str
        Address to listen on.
    key : str
        Key that a host proves; needed for any address that other machines reach.

    Raises
    ------
    InputError
        The port is in use, or using it is not permitted; the address is none; or a key is missing.
    """
    try:
        place = ipaddress.ip_address(host)
    except ValueError:
        raise InputError(f"host must be an IP address, not {host!r}") from None
    if not key and not place.is_loopback:
        raise InputError(f"a board on {host}, which other machines reach, needs --key FILE")
    with socket.socket(socket.AF_INET6 if place.version == 6 else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise InputError(f"port must be free and permitted, not {port}: {error.strerror}") from error
        listener.listen()
        ready(f"tcp://{f'[{host}]' if place.version == 6 else host}:{listener.getsockname()[1]}")

        hosts: deque[socket.socket] = deque()

        def waiting(patience: float = 0.0) -> bool:
            while len(hosts) < _HOSTS and select.select([listener], [], [], patience)[0]:
                hosts.append(listener.accept()[0])
                patience = 0.0
            # A host that gave up needs no turn, and no one reads the answers to what it sent.
            for gone in [one for one in hosts if _left(one)]:
                hosts.remove(gone)
                gone.close()
            return bool(hosts)

        try:
            while not stop():
                if not waiting(_WAIT_S):
                    continue
                with hosts.popleft() as connection, contextlib.suppress(ConnectionError):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    if not key or admits(connection, key):
                        serve_descriptor(board, connection.fileno(), stop, waiting)
        finally:
            for one in hosts:
                one.close()


def _left(connection: socket.socket) -> bool:
    """Return whether the other end of a connection is closed."""
    ended = getattr(select, "POLLRDHUP", 0)  # of Linux
    poll = select.poll()
    poll.register(connection, ended)
    return any(happened & (ended | select.POLLHUP | select.POLLERR) for _, happened in poll.poll(0))
