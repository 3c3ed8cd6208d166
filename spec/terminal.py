"""Conversion of untrusted text to text that is safe to print on a terminal."""

import json
import re
from typing import Any

__all__ = ["printable", "to_json"]

#: Control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls, and lone surrogates, which
#: UTF-8 cannot hold. Zero-width joiners stay: scripts and emoji need them.
_UNSAFE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_ONE_LINE = re.compile(f"[{_UNSAFE}]")
_LINES = re.compile(f"(?![\t\n])[{_UNSAFE}]")


def printable(text: object, *, lines: bool = False) -> str:
    r"""Return a text with each character that could act on a terminal written as an escape, such as ``\x1b``.

    Everything printed that comes from a user, a file or a device passes through here: names, texts, values in messages.

    Parameters
    ----------
    text : object
        Object to print, converted by ``str``.
    lines : bool
        Keep line feeds and tabs, for a text of several lines.

    Returns
    -------
    str
        Text that encodes to UTF-8. Bytes of file names that are not UTF-8 are shown by value, such as ``\xe9``.
    """
    return (_LINES if lines else _ONE_LINE).sub(_escape, str(text))


def to_json(value: Any, indent: int | None = 2) -> str:
    """Return a value as JSON that is safe to print on a terminal; parsing it gives the exact value."""
    return _LINES.sub(_json_escape, json.dumps(value, indent=indent, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0])
    if short is not None:
        return short
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python's file names carry as a surrogate
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
