"""Loading of a board's store over an unreliable link."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from ninefold.drivers.link import Link, RefusedError, Request
from ninefold.drivers.protocol import replies, requests
from ninefold.spec.errors import DeviceError
from ninefold.spec.link import Fault, Kind
from ninefold.spec.registers import BY_NAME

__all__ = ["holds", "load", "read_register", "write_register"]

_ATTEMPTS = 8


def read_register(link: Link, name: str) -> tuple[int, ...]:
    """Read the words of a register."""
    register = BY_NAME[name]
    payload = requests.read(register.address, register.count)
    return link.ask(Request(Kind.READ, payload, lambda p: replies.words(p, register.count)))


def write_register(link: Link, name: str, *words: int) -> None:
    """Write the words of a register."""
    link.ask(Request(Kind.WRITE, requests.write(BY_NAME[name].address, words), replies.nothing))


def holds(link: Link, rows: bytes, row_bytes: int) -> bool:
    """Return True if the store holds exactly these rows, by number, length and CRC."""
    return _held(link) == _expected(rows, row_bytes)


def load(
    link: Link, rows: bytes, row_bytes: int, block_bytes: int, epoch: int, thresholds: Sequence[int] | None = None
) -> None:
    """Fill the store, check its contents, set the thresholds and start a new epoch.

    Several blocks are in flight. When one is lost, the board refuses later blocks and reports the offset from which the
    load continues. A load that is refused repeatedly at the same offset fails.

    Parameters
    ----------
    link : Link
        Link to an identified board.
    rows : bytes
        Packed nits, row by row; not empty.
    row_bytes : int
        Size of a row in bytes.
    block_bytes : int
        Maximum size of a block in bytes.
    epoch : int
        New epoch, 1 to 255, also set for the queries of the link.
    thresholds : sequence of int, optional
        Thresholds of the quantiser; the board's current ones by default. They are set while the epoch is 0, so that no
        other host's query is quantised by them.

    Raises
    ------
    DeviceError
        The board refuses the load or holds something else afterwards. Its epoch is then 0, so it answers no query.
    """
    start, attempts = 0, 0
    while True:
        try:
            for _ in link.exchange(_blocks(rows, start, block_bytes)):
                pass
            break
        except RefusedError as error:
            if error.refusal.code != Fault.OFFSET or attempts >= _ATTEMPTS or error.refusal.detail > len(rows):
                raise
            attempts = 0 if error.refusal.detail > start else attempts + 1
            start = error.refusal.detail
    held, expected = _held(link), _expected(rows, row_bytes)
    if held != expected:
        raise DeviceError(
            f"after the load the board holds {held[0]} rows, {held[1]} bytes with CRC {held[2]:08x}, where"
            f" {expected[0]} rows, {expected[1]} bytes with CRC {expected[2]:08x} were sent"
        )
    if thresholds is not None:
        write_register(link, "threshold", *thresholds)
    write_register(link, "epoch", epoch)
    link.epoch = epoch


def _held(link: Link) -> tuple[int, int, int]:
    (rows,), (size,), (check,) = (read_register(link, name) for name in ("rows", "load_bytes", "load_check"))
    return rows, size, check


def _expected(rows: bytes, row_bytes: int) -> tuple[int, int, int]:
    return len(rows) // row_bytes, len(rows), zlib.crc32(rows)


def _blocks(rows: bytes, start: int, block_bytes: int) -> Iterator[Request[int]]:
    for offset in range(start, len(rows), block_bytes):
        end = offset + block_bytes
        payload = requests.load(offset, rows[offset:end], final=end >= len(rows))
        yield Request(Kind.LOAD, payload, replies.load)
