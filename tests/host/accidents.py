"""Damage to the bytes of a file."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["ACCIDENTS", "Accidents", "damaged"]

Accidents = list[tuple[float, str, int]]

_KINDS = ("change", "drop", "insert", "cut", "fill")
#: Position as a fraction of the length, kind of damage, and a byte; some bytes are special to parsers.
ACCIDENTS: st.SearchStrategy[Accidents] = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(_KINDS),
        st.integers(0, 255) | st.sampled_from(b"0189-[]{}()\"',:. \n\\"),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data: bytes, accidents: Accidents) -> bytes:
    """Return the bytes after all damage."""
    changed = bytearray(data)
    for where, what, byte in accidents:
        at = int(where * len(changed))
        match what:
            case "cut":
                del changed[at:]
            case "fill":
                changed[at:] = bytes([byte]) * 60_000
            case "insert":
                changed.insert(at, byte)
            case _ if not changed:
                continue
            case "change":
                changed[at] = byte
            case "drop":
                del changed[at]
    return bytes(changed)
