"""Byte streams to boards, opened by URL: ``serial://``, ``tcp://``, ``replay://`` and schemes of other packages."""

from __future__ import annotations

from pathlib import Path

from ninefold.drivers.transports.recording import Recorder
from ninefold.drivers.transports.urls import split
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import Transport
from ninefold.spec.registry import TRANSPORTS, entries

__all__ = ["open_transport"]


def open_transport(url: str, record: Path | None = None) -> Transport:
    """Open a byte stream by its URL.

    An entry point of the group ``ninefold.transports`` is named after its scheme and refers to a function
    ``open(address: str, options: Mapping[str, str]) -> Transport``.

    Parameters
    ----------
    url : str
        E.g. ``serial:///dev/ttyUSB1?baud=3000000``, ``serial://SERIAL``, ``tcp://localhost:4000``, ``replay://file``.
    record : Path, optional
        File to which the session is recorded, for ``replay://``.

    Raises
    ------
    InputError
        The URL is invalid.
    UnavailableError
        The device is missing or cannot be opened; the message gives the remedy.
    """
    scheme, address, options = split(url)
    if record is not None and not record.absolute().parent.is_dir():
        raise InputError(f"{record} cannot be written: there is no folder {record.absolute().parent}")
    transport: Transport = entries(TRANSPORTS)[scheme].load()(address, options)
    return transport if record is None else Recorder(transport, record, url)
