"""Source of the boards that are plugged in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ninefold.drivers.boards import Address
from ninefold.drivers.transports import usb

__all__ = ["identities", "places"]


def places() -> Sequence[Address]:
    """Return the boards on USB, named by serial number, or by the path of the port without one.

    Raises
    ------
    UnavailableError
        No board is plugged in, or pyserial is not installed.
    """
    found = usb.ports()
    if not found:
        raise usb.no_board()
    return [
        Address(name, f"serial://{name}", str(port)) for port in found for name in [port.serial_number or port.path]
    ]


def identities() -> Mapping[str, str]:
    """Return an empty mapping, because boards on USB are recognised by manifests."""
    return {}
