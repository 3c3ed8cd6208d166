"""Boards on USB, found by what they say they are and by serial number, never by the number of a port."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ninefold.spec.errors import UnavailableError

__all__ = ["BOARDS", "INSTALL", "Port", "UsbBoard", "find", "no_board", "ports", "udev_rule"]

INSTALL = 'pip install "ninefold[board]"'


@dataclass(frozen=True)
class UsbBoard:
    """How a board shows itself on USB.

    Attributes
    ----------
    name : str
        As in the catalogue.
    vendor, product : int
        USB identity.
    says : str
        Regular expression that its product text must contain, where the identity is that of a common chip.
    interface : int
        Number of the USB interface that carries the UART.
    baud : int
        Rate of the UART in our bitstreams, in bits a second.
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
    """A serial port of a board that is plugged in.

    Attributes
    ----------
    board : UsbBoard
        Which board.
    path : str
        Of the port, now.
    serial_number : str
        Of the board; empty where it has none.
    """

    board: UsbBoard
    path: str
    serial_number: str

    def __str__(self) -> str:
        return f"{self.board.name} {self.serial_number or '(no serial number)'} at {self.path}"


def ports(listed: Iterable[Any] | None = None) -> list[Port]:
    """Return the known boards that are plugged in, by name and serial number.

    Parameters
    ----------
    listed : iterable, optional
        What pyserial's ``comports`` returns; asked for where it is left out.

    Raises
    ------
    UnavailableError
        When pyserial is not installed.
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
    """Return the error of a machine on which no known board is plugged in, with what was seen instead."""
    ports = [str(one.device) for one in (_comports() if listed is None else listed)]
    seen = f"{', '.join(ports)}, of no known board" if ports else "no serial ports"
    known = ", ".join(board.name for board in BOARDS)
    return UnavailableError(f"no board is plugged in: found {seen}", f"plug one in ({known}), or name its port")


def find(wanted: str, plugged_in: Sequence[Port]) -> Port:
    """Return the one port of the board with that serial number or name; of the only board for an empty text.

    Raises
    ------
    UnavailableError
        When there is none, or more than one, with what there is.
    """
    fitting = [p for p in plugged_in if wanted in ("", p.serial_number, p.board.name)]
    if len(fitting) == 1:
        return fitting[0]
    seen = "; ".join(str(port) for port in plugged_in) or "no board that is known"
    asked = f"board {wanted!r}" if wanted else "board"
    if not fitting:
        raise UnavailableError(f"no {asked} is plugged in: found {seen}", "plug it in, or give the path of its port")
    raise UnavailableError(f"more than one {asked} is plugged in: {seen}", "name one by its serial number")


def udev_rule(board: UsbBoard | None, subsystem: str = "tty") -> str:
    """Return the command that lets whoever sits at the machine open such a port.

    Parameters
    ----------
    board : UsbBoard or None
        Which board; all ports on USB for None.
    subsystem : str
        ``"tty"`` for serial ports, ``"usb"`` for the USB device itself, which loading bitstreams needs.
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
        raise UnavailableError("pyserial is not installed", INSTALL) from error
    return list(comports())


def _interface(port: Any) -> int:
    """Return the number of a port's USB interface, which ends its location: ``1-2:1.1`` is interface 1."""
    _, _, number = (port.location or "").rpartition(".") if ":" in (port.location or "") else ("", "", "0")
    return int(number) if number.isdigit() else 0
