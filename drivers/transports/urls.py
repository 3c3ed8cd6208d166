"""URLs of byte streams: scheme, address and options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from ninefold.spec.errors import InputError
from ninefold.spec.registry import TRANSPORTS, entries

__all__ = ["check_options", "once", "split"]


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
