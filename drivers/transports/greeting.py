"""Proof of a key before the bytes of a board pass over TCP: the key itself is never sent.

The server sends ``ninefold board NONCE``, the client the HMAC-SHA256 of the nonce by the key, and the server
``welcome``; each is a line. Nothing is encrypted: use a private network, or a tunnel.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import socket
from pathlib import Path
from typing import Final

from ninefold.spec.errors import InputError, UnavailableError

__all__ = ["KEY_VARIABLE", "admits", "key_of", "proves"]

#: Variable of the environment with the key, so that it is in no list of processes.
KEY_VARIABLE: Final = "NINEFOLD_BOARD_KEY"
#: Time for a client to prove its key, and for which a client waits for its turn, in seconds.
_PROOF_S: Final = 2.0
_TURN_S: Final = 30.0
_SHORTEST: Final = 32
_HELLO: Final = b"ninefold board "
_WELCOME: Final = b"welcome\n"
_LONGEST: Final = 128


def key_of(file: Path | None) -> str:
    """Return the key in a file, or else in the environment; empty if there is none.

    Raises
    ------
    InputError
        The key has less than 32 characters.
    """
    key = os.environ.get(KEY_VARIABLE, "") if file is None else file.read_text().strip()
    if (key or file is not None) and len(key) < _SHORTEST:
        where = KEY_VARIABLE if file is None else str(file)
        raise InputError(f"{where} must hold a key of at least {_SHORTEST} characters, not {len(key)}")
    return key


def admits(connection: socket.socket, key: str) -> bool:
    """Greet a client, and return whether it proved that it has the key."""
    nonce = secrets.token_hex(32).encode()
    try:
        connection.settimeout(_PROOF_S)
        connection.sendall(_HELLO + nonce + b"\n")
        if not hmac.compare_digest(_line(connection), _proof(key, nonce)):
            return False
        connection.sendall(_WELCOME)
    except OSError:
        return False
    return True


def proves(connection: socket.socket, key: str, place: str) -> None:
    """Wait for the turn of this client, and prove its key.

    Raises
    ------
    UnavailableError
        The server serves others, asks for no key, or refuses this one.
    """
    try:
        connection.settimeout(_TURN_S)
        hello = _line(connection)
        if not re.fullmatch(rb"ninefold board [0-9a-f]{64}\n", hello):
            raise UnavailableError(f"{place} asks for no key", f"unset {KEY_VARIABLE}, or serve the board with --key")
        connection.sendall(_proof(key, hello[len(_HELLO) : -1]))
        if _line(connection) != _WELCOME:
            raise UnavailableError(f"{place} refuses the key", f"set {KEY_VARIABLE} to the key of the board")
    except OSError as error:
        waited = f"{place} did not greet within {_TURN_S:g} s: it serves others, or asks for no key"
        raise UnavailableError(waited if isinstance(error, TimeoutError) else f"{place} ended: {error}") from error


def _proof(key: str, nonce: bytes) -> bytes:
    return hmac.new(key.encode(), b"board " + nonce, "sha256").hexdigest().encode() + b"\n"


def _line(connection: socket.socket) -> bytes:
    """Return a line, or what came before the end of the connection."""
    found = b""  # byte by byte, since the bytes after the line are a board's
    while not found.endswith(b"\n") and len(found) < _LONGEST and (byte := connection.recv(1)):
        found += byte
    return found
