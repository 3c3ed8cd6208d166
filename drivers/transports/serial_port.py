"""``serial://``: a board on a serial port."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold.drivers.transports import check_options
from ninefold.drivers.transports.descriptor import DescriptorTransport
from ninefold.drivers.transports.usb import INSTALL, Port, find, ports, udev_rule
from ninefold.spec.errors import InputError, UnavailableError

__all__ = ["BAUD", "SerialTransport", "open_serial", "set_latency"]

BAUD = 3_000_000
_LATENCY_MS = 1
_SYSFS = Path("/sys/bus/usb-serial/devices")


class SerialTransport(DescriptorTransport):
    """A serial port that nobody else can open meanwhile.

    Attributes
    ----------
    latency_ms : int or None
        How long the USB chip holds back what it received, in milliseconds; None where the port has no such timer.
    """

    def __init__(self, port: Any, latency_ms: int | None) -> None:
        super().__init__(port.fileno(), str(port.name), port.close)
        self.latency_ms = latency_ms


def open_serial(address: str, options: Mapping[str, str]) -> SerialTransport:
    """Open a port by its path, or a board by serial number or name; the only board where the address is empty.

    Options: ``baud``; where it is left out that of our bitstreams for the board, 3,000,000 for a path.

    Raises
    ------
    InputError
        For another option, or a baud rate that is none.
    UnavailableError
        When pyserial or the board is missing, another process has the port, or this user may not open it; then with the
        udev rule that allows it.
    """
    check_options("serial", options, ("baud",))
    baud = options.get("baud", str(BAUD))
    if not baud.isascii() or not baud.isdigit() or not 1 <= int(baud) <= 12_000_000:
        raise InputError(f"baud must be 1 to 12000000, not {baud!r}")
    try:
        import serial
    except ImportError as error:
        raise UnavailableError("pyserial is not installed", INSTALL) from error
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
    """Have an FTDI chip pass on what it received after 1 ms instead of 16; return what holds now, None without a timer.

    Parameters
    ----------
    port : serial.Serial
        The open port; its driver is asked where the timer may not be written.
    timer : Path
        The timer's file in sysfs, in milliseconds.
    """
    if not timer.exists():
        return None
    try:
        timer.write_text(str(_LATENCY_MS))
    except OSError:
        # Where this is refused too the link is slow, which `latency_ms` shows.
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
    # Where there is no code, pyserial could not set the port up.
    reason = os.strerror(code) if isinstance(code, int) else f"it is no serial port that does {rate} baud"
    return UnavailableError(f"{path} cannot be opened: {reason}", "see which boards `ninefold board list` finds")
