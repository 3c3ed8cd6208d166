"""Parts of messages: numbers with their noun, and shortened texts."""

from __future__ import annotations

__all__ = ["counted", "shortened", "tail"]

_TAIL = 2000
_CUT = "[...]"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as ``1 damaged reply`` and ``2,000 damaged replies``.

    Parameters
    ----------
    number : int
        Whole number of things.
    noun : str
        Noun for one of them.
    plural : str
        Noun for any other number; by default `noun` with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def shortened(text: str, most: int = 300) -> str:
    """Return a text on one line; if longer than `most` characters, it is cut after a word and ends in ``[...]``."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    kept = line[:most].rpartition(" ")[0] or line[:most]
    return f"{kept} {_CUT}"


def tail(text: str, most: int = _TAIL) -> str:
    """Return the end of an output: at most `most` characters, starting with a whole line."""
    kept = text.strip()
    if len(kept) <= most:
        return kept
    lines = kept[-most:].partition("\n")[2] or kept[-most:].partition(" ")[2] or kept[-most:]
    return f"{_CUT}\n{lines}"
