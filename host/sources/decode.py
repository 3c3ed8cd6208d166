"""Bytes of a file as text: UTF-8, with or without a byte order mark, and nothing else."""

import os
import stat
from pathlib import Path

from ninefold.spec.errors import InputError
from ninefold.spec.terminal import printable

__all__ = ["NotTextError", "check_table", "decoded"]

_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
#: Bytes at the start of a file that are looked at.
_START = 4096


class NotTextError(ValueError):
    """Bytes that are not UTF-8 text; the message says what they are."""


def decoded(data: bytes) -> str:
    """Return the text of a file.

    Raises
    ------
    NotTextError
        For another encoding, bytes that are not UTF-8, or a NUL.
    """
    if other := _other_encoding(data[:_START]):
        raise NotTextError(f"{other}, not UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Its position counts from the end of a byte order mark.
        raise NotTextError(f"not UTF-8 (byte {len(data) - len(error.object) + error.start})") from error
    if "\0" in text:
        raise NotTextError(f"holds NUL (byte {data.index(0)}), so it is no text")
    return text


def check_table(source: str) -> None:
    """Raise `InputError` unless a file can be read as lines of UTF-8; single bad lines are left to its reader."""
    path = Path(source)
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - follows links, and says what is missing
        raise InputError(f"{printable(source)} is not a regular file")
    with path.open("rb") as file:
        other = _other_encoding(file.read(_START))
    if other:
        raise InputError(f"{printable(source)} is {other}, not UTF-8; convert it first")


def _other_encoding(start: bytes) -> str:
    """Return the encoding that the start of a file gives away; nothing for UTF-8 and what is unknown."""
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    # Text in the Latin alphabet without a mark: every other byte is 0.
    return marked or ("UTF-16 or binary" if start.count(0) * 4 > len(start) else "")
