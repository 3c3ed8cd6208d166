"""The boards that are plugged in, for whoever asks which boards there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ninefold.drivers.boards import Place
from ninefold.drivers.transports import usb

__all__ = ["identities", "places"]


def places() -> Sequence[Place]:
    """Return the boards on USB by serial number, by the path of the port where they have none.

    Raises
    ------
    UnavailableError
        When there is none, or pyserial is not installed.
    """
    found = usb.ports()
    if not found:
        raise usb.no_board()
    return [Place(name, f"serial://{name}", str(port)) for port in found for name in [port.serial_number or port.path]]


def identities() -> Mapping[str, str]:
    """Return nothing: a manifest describes what a board on USB may hold."""
    return {}
