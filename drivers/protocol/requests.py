"""Encoding of request payloads."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ninefold.spec.errors import InputError
from ninefold.spec.formats import CANDIDATES_MAX, K_MAX
from ninefold.spec.link import FORMAT_GRID, FORMAT_PACKED, LOAD_FINAL, PAYLOAD_MAX, PREFIX_BYTES, TICKET_MAX
from ninefold.spec.stream_link import TURNS

__all__ = ["candidates", "fetch", "identify", "load", "pull", "push", "query", "read", "write"]

_ADDRESS = struct.Struct("<HH")
_QUERY = struct.Struct("<BBH")
_FETCH = struct.Struct("<HHHH")
#: Maximum number of words in one request or reply.
_WORDS_MAX = (PAYLOAD_MAX - PREFIX_BYTES) // 4


def identify(nonce: int) -> bytes:
    """Return the payload of IDENTIFY; `nonce` is a u32."""
    return struct.pack("<I", _within("nonce", nonce, 0, 2**32 - 1))


def read(address: int, count: int = 1) -> bytes:
    """Return the payload of READ: a word address and a number of registers."""
    _within("count", count, 1, _WORDS_MAX)
    return _ADDRESS.pack(_within("address", address, 0, 0xFFFF), count)


def write(address: int, words: Sequence[int]) -> bytes:
    """Return the payload of WRITE: a word address and a u32 for each register."""
    _within("the number of words", len(words), 1, _WORDS_MAX)
    for word in words:
        _within("word", word, 0, 2**32 - 1)
    return _ADDRESS.pack(_within("address", address, 0, 0xFFFF), len(words)) + struct.pack(f"<{len(words)}I", *words)


def load(offset: int, data: bytes, *, final: bool) -> bytes:
    """Return the payload of LOAD: offset of the block in bytes, its packed nits, and a flag for the last block."""
    _within("the size of a block", len(data), 1, PAYLOAD_MAX - PREFIX_BYTES)
    _within("offset", offset, 0, LOAD_FINAL - 1)
    return struct.pack("<I", offset | LOAD_FINAL * final) + data


def query(form: int, count: int, k: int, data: bytes) -> bytes:
    """Return the payload of QUERY.

    Parameters
    ----------
    form : int
        `FORMAT_PACKED` or `FORMAT_GRID`.
    count : int
        Number of queries, 1 to 255.
    k : int
        Results per query, 1 to 256.
    data : bytes
        Queries, all of one size.
    """
    _within("format", form, FORMAT_PACKED, FORMAT_GRID)
    _within("count", count, 1, 255)
    _within("k", k, 1, K_MAX)
    _within("the size of the queries", len(data), count, PAYLOAD_MAX - PREFIX_BYTES)
    if len(data) % count:
        raise InputError(f"{len(data)} bytes are not {count} queries of one size")
    return _QUERY.pack(form, count, k) + data


def candidates(form: int, keep: int, query: bytes, mask: bytes = b"") -> bytes:
    """Return the payload of CANDIDATES.

    Parameters
    ----------
    form : int
        `FORMAT_PACKED` or `FORMAT_GRID`.
    keep : int
        Maximum number of rows, 1 to 8192.
    query : bytes
        One query.
    mask : bytes
        One bit for each row of the store: row r is bit r mod 8, lowest first, of byte r // 8. All rows if empty.
    """
    _within("format", form, FORMAT_PACKED, FORMAT_GRID)
    _within("keep", keep, 1, CANDIDATES_MAX)
    _within("the size of the query", len(query), 1, PAYLOAD_MAX - PREFIX_BYTES)
    _within("the size of the mask", len(mask), 0, PAYLOAD_MAX - PREFIX_BYTES - len(query))
    return _QUERY.pack(form, bool(mask), keep) + query + mask


def fetch(ticket: int, offset: int, count: int) -> bytes:
    """Return the payload of FETCH: a ticket, the number of candidates to skip, and the number to return."""
    _within("ticket", ticket, 1, TICKET_MAX)
    _within("offset", offset, 0, CANDIDATES_MAX)
    return _FETCH.pack(ticket, offset, _within("count", count, 0, CANDIDATES_MAX), 0)


def push(stream: int, turn: int, count: int, data: bytes) -> bytes:
    """Return the payload of PUSH: the number of an input, the board's turn, and the bytes of `count` payloads."""
    _within("the size of the payloads", len(data), 0, PAYLOAD_MAX - PREFIX_BYTES)
    return pull(stream, turn, count) + data


def pull(stream: int, turn: int, count: int) -> bytes:
    """Return the payload of PULL: the number of an output, the board's turn, and the maximum number of payloads."""
    _within("stream", stream, 0, 255)
    _within("turn", turn, 0, TURNS - 1)
    return _QUERY.pack(stream, turn, _within("count", count, 0, 0xFFFF))


def _within(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InputError(f"{name} must be {low} to {high}, not {value}")
    return value
