"""``serial://``: boards on serial ports."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold.drivers.transports.descriptor import DescriptorTransport
from ninefold.drivers.transports.urls import check_options
from ninefold.drivers.transports.usb import INSTALL, Port, find, ports, udev_rule
from ninefold.spec.errors import InputError, UnavailableError, not_installed

__all__ = ["BAUD", "SerialTransport", "open_serial", "set_latency"]

BAUD = 3_000_000
_LATENCY_MS = 1
_SYSFS = Path("/sys/bus/usb-serial/devices")


class SerialTransport(DescriptorTransport):
    """Serial port, opened exclusively.

    Attributes
    ----------
    latency_ms : int or None
        Time for which the USB chip holds back received bytes, in ms; None if the port has no such timer.
    """

    def __init__(self, port: Any, latency_ms: int | None) -> None:
        super().__init__(port.fileno(), str(port.name), port.close)
        self.latency_ms = latency_ms


def open_serial(address: str, options: Mapping[str, str]) -> SerialTransport:
    """Open a port by its path, or a board by serial number or name; an empty address means the only board.

    Options: ``baud``; by default the rate of our bitstreams for the board, or 3,000,000 for a path.

    Raises
    ------
    InputError
        An option is unknown, or the baud rate is invalid.
    UnavailableError
        pyserial or the board is missing, another process uses the port, or the user lacks permission; the message then
        shows the udev rule to add.
    """
    check_options("serial", options, ("baud",))
    baud = options.get("baud", str(BAUD))
    if not baud.isascii() or not baud.isdigit() or not 1 <= int(baud) <= 12_000_000:
        raise InputError(f"baud must be 1 to 12000000, not {baud!r}")
    try:
        import serial
    except ImportError as error:
        raise not_installed("pyserial", INSTALL) from error
    found = None if address.startswith("/") else find(address, ports())
    path = address if found is None else found.path
    rate = found.board.baud if found is not None and "baud" not in options else int(baud)
    try:
        port = serial.Serial(path, rate, timeout=0, exclusive=True)
        port.reset_input_buffer()
    except (OSError, ValueError) as error:
        raise _unavailable(path, rate, found, error) from error
    return SerialTransport(port, set_latency(port, _SYSFS / Path(path).resolve().name / "latency_timer"))


def set_latency(port: Any, timer: Path) -> int | None:
    """Reduce the latency timer of an FTDI chip from 16 ms to 1 ms; return its value, or None without a timer.

    Parameters
    ----------
    port : serial.Serial
        Open port; its driver sets the timer if the file is not writable.
    timer : Path
        File of the timer in sysfs, in ms.
    """
    if not timer.exists():
        return None
    try:
        timer.write_text(str(_LATENCY_MS))
    except OSError:
        # If this is refused too, the link is slow, as `latency_ms` shows.
        with contextlib.suppress(OSError, ValueError):
            port.set_low_latency_mode(True)
    return int(timer.read_text())


def _unavailable(path: str, rate: int, found: Port | None, error: Exception) -> UnavailableError:
    code = getattr(error, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return UnavailableError(
            f"{path} may not be opened by this user", udev_rule(None if found is None else found.board)
        )
    if code in (errno.EBUSY, errno.EAGAIN):
        return UnavailableError(f"{path} is in use by another process", "close that one first")
    # Without an error number, pyserial could not configure the port.
    reason = os.strerror(code) if isinstance(code, int) else f"it is no serial port that supports {rate} baud"
    return UnavailableError(f"{path} cannot be opened: {reason}", "`ninefold board list` shows the boards found")
