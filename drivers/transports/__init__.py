"""Byte streams to boards, opened by URL: ``serial://``, ``tcp://``, ``replay://`` and schemes of other packages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from ninefold.spec.errors import InputError
from ninefold.spec.protocols import Transport
from ninefold.spec.registry import TRANSPORTS, entries

__all__ = ["check_options", "once", "open_transport", "split"]


def split(url: str) -> tuple[str, str, dict[str, str]]:
    """Return scheme, address and options of ``scheme://address?option=value&...``.

    Raises
    ------
    InputError
        The text is no such URL, no installed package provides the scheme, or an option is given twice.
    """
    scheme, found, rest = url.partition("://")
    known = entries(TRANSPORTS)
    if not found or scheme not in known:
        raise InputError(f"the URL of a board must begin with {_listed(known)}, not {url!r}")
    address, _, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise InputError(f"options must be name=value, joined by &, not {query!r}") from error
    return scheme, address, once(pairs, f"an option of {scheme}://")


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
    if record is None:
        return transport
    from ninefold.drivers.transports.recording import Recorder

    return Recorder(transport, record, url)


def check_options(scheme: str, options: Mapping[str, str], allowed: tuple[str, ...] = ()) -> None:
    """Raise `InputError` for an unknown option of the scheme."""
    for name in options:
        if name not in allowed:
            raise InputError(f"an option of {scheme}:// must be one of {', '.join(allowed) or 'none'}, not {name!r}")


def once(pairs: Iterable[tuple[str, str]], what: str) -> dict[str, str]:
    """Return names and values as a mapping, or raise `InputError` if a name is given twice; `what` names the option."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise InputError(f"{what} must be given once, not {name}={found[name]} and {name}={value}")
        found[name] = value
    return found


def _listed(known: Mapping[str, object]) -> str:
    return ", ".join(f"{name}://" for name in known) or "nothing, since no transport is installed"
