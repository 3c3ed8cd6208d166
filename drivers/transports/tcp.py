"""``tcp://host:port``: boards behind a TCP socket."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from ninefold.drivers.transports.descriptor import DescriptorTransport
from ninefold.drivers.transports.greeting import key_of, proves
from ninefold.drivers.transports.urls import check_options
from ninefold.spec.errors import InputError, UnavailableError

__all__ = ["open_tcp"]

_CONNECT_S = 5.0


def open_tcp(address: str, options: Mapping[str, str]) -> DescriptorTransport:
    """Connect to ``host:port``, with an IPv6 address in brackets, and prove the key in ``NINEFOLD_BOARD_KEY``, if any.

    Raises
    ------
    InputError
        The address is invalid.
    UnavailableError
        No connection within 5 s, or the key is refused.
    """
    check_options("tcp", options)
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise InputError(f"tcp:// needs host:port with a port from 1 to 65535, not {address!r}")
    try:
        connection = socket.create_connection((host, int(port)), timeout=_CONNECT_S)
    except OSError as error:
        raise UnavailableError(
            f"nothing answers at tcp://{address}: {error.strerror or error}",
            "start a board there",
        ) from error
    if key := key_of(None):
        try:
            proves(connection, key, f"tcp://{address}")
        except BaseException:
            connection.close()
            raise
    connection.setblocking(False)
    # Frames are small, and the host waits for each reply.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return DescriptorTransport(connection.fileno(), f"tcp://{address}", connection.close)
