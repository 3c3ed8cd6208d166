"""Decoding of files as UTF-8, with or without a byte order mark; other encodings are refused."""

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
#: Number of bytes at the start of a file in which the encoding is detected.
_START = 4096


class NotTextError(ValueError):
    """Error for bytes that are not UTF-8 text; the message says what they are."""


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
        # The position in the error counts from the end of a byte order mark.
        raise NotTextError(f"not UTF-8 (byte {len(data) - len(error.object) + error.start})") from error
    if "\0" in text:
        raise NotTextError(f"holds NUL (byte {data.index(0)}), so it is not text")
    return text


def check_table(source: str) -> None:
    """Raise `InputError` unless a file can be read as lines of UTF-8; the caller handles single invalid lines."""
    path = Path(source)
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - follows links and raises if the file is missing
        raise InputError(f"{printable(source)} is not a regular file")
    with path.open("rb") as file:
        other = _other_encoding(file.read(_START))
    if other:
        raise InputError(f"{printable(source)} is {other}, not UTF-8; convert it first")


def _other_encoding(start: bytes) -> str:
    """Return the encoding detected from the start of a file, or an empty string for UTF-8 or an unknown encoding."""
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    # In Latin text without a mark, every other byte is 0.
    return marked or ("UTF-16 or binary" if start.count(0) * 4 > len(start) else "")
