"""Boards on USB, found by USB identity and serial number, never by port number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ninefold.spec.errors import UnavailableError, installs, not_installed

__all__ = ["BOARDS", "INSTALL", "Port", "UsbBoard", "find", "no_board", "ports", "udev_rule"]

INSTALL = installs("board")


@dataclass(frozen=True)
class UsbBoard:
    """USB identity of a board.

    Attributes
    ----------
    name : str
        Name in the catalogue.
    vendor, product : int
        USB vendor and product id.
    says : str
        Regular expression for the product text, needed if the ids belong to a common chip.
    interface : int
        Number of the USB interface of the UART.
    baud : int
        Rate of the UART in our bitstreams, in baud.
    """

    name: str
    vendor: int
    product: int
    says: str = ""
    interface: int = 0
    baud: int = 3_000_000


BOARDS = (
    UsbBoard("icebreaker", 0x0403, 0x6010, "(?i)icebreaker", interface=1, baud=6_000_000),
    UsbBoard("ulx3s", 0x0403, 0x6015, "(?i)ulx3s", baud=2_500_000),
    UsbBoard("tangnano9k", 0x0403, 0x6010, "(?i)usb debugger|sipeed", interface=1),
)


@dataclass(frozen=True)
class Port:
    """Serial port of a board that is plugged in.

    Attributes
    ----------
    board : UsbBoard
        Identity of the board.
    path : str
        Current path of the port.
    serial_number : str
        Serial number of the board; empty if it has none.
    """

    board: UsbBoard
    path: str
    serial_number: str

    def __str__(self) -> str:
        return f"{self.board.name} {self.serial_number or '(no serial number)'} at {self.path}"


def ports(listed: Iterable[Any] | None = None) -> list[Port]:
    """Return the known boards that are plugged in, sorted by name and serial number.

    Parameters
    ----------
    listed : iterable, optional
        Result of pyserial's ``comports``; queried by default.

    Raises
    ------
    UnavailableError
        pyserial is not installed.
    """
    found = [
        Port(board, str(one.device), one.serial_number or "")
        for one in (_comports() if listed is None else listed)
        for board in BOARDS
        if (one.vid, one.pid) == (board.vendor, board.product)
        and re.search(board.says, f"{one.product or ''} {one.manufacturer or ''}")
        and _interface(one) == board.interface
    ]
    return sorted(found, key=lambda port: (port.board.name, port.serial_number))


def no_board(listed: Iterable[Any] | None = None) -> UnavailableError:
    """Return the error for a machine without a known board, naming the ports found."""
    ports = [str(one.device) for one in (_comports() if listed is None else listed)]
    seen = f"{', '.join(ports)}, of no known board" if ports else "no serial ports"
    known = ", ".join(board.name for board in BOARDS)
    return UnavailableError(f"no board is plugged in: found {seen}", f"plug one in ({known}), or name its port")


def find(wanted: str, plugged_in: Sequence[Port]) -> Port:
    """Return the port of the board with this serial number or name, or of the only board for an empty text.

    Raises
    ------
    UnavailableError
        There is none, or more than one; the message lists the boards found.
    """
    fitting = [p for p in plugged_in if wanted in ("", p.serial_number, p.board.name)]
    if len(fitting) == 1:
        return fitting[0]
    seen = "; ".join(str(port) for port in plugged_in) or "no known board"
    asked = f"board {wanted!r}" if wanted else "board"
    if not fitting:
        raise UnavailableError(f"no {asked} is plugged in: found {seen}", "plug it in, or give the path of its port")
    raise UnavailableError(f"more than one {asked} is plugged in: {seen}", "name one by its serial number")


def udev_rule(board: UsbBoard | None, subsystem: str = "tty") -> str:
    """Return the shell command that adds a udev rule for the port of a board.

    Parameters
    ----------
    board : UsbBoard or None
        Identity of the board; None for all USB ports.
    subsystem : str
        ``"tty"`` for serial ports, ``"usb"`` for the USB device, which loading bitstreams needs.
    """
    rule = f'SUBSYSTEM=="{subsystem}", SUBSYSTEMS=="usb", '
    if board is not None:
        rule += f'ATTRS{{idVendor}}=="{board.vendor:04x}", ATTRS{{idProduct}}=="{board.product:04x}", '
    return (
        f"""echo '{rule}TAG+="uaccess", MODE="0660"' | sudo tee /etc/udev/rules.d/60-ninefold-{subsystem}.rules"""
        " && sudo udevadm control --reload && sudo udevadm trigger"
    )


def _comports() -> list[Any]:
    try:
        from serial.tools.list_ports import comports
    except ImportError as error:
        raise not_installed("pyserial", INSTALL) from error
    return list(comports())


def _interface(port: Any) -> int:
    """Return the USB interface number at the end of a port's location: 1 for ``1-2:1.1``."""
    _, _, number = (port.location or "").rpartition(".") if ":" in (port.location or "") else ("", "", "0")
    return int(number) if number.isdigit() else 0
