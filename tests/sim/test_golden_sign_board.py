"""The golden model of a board of design signs, against values written by hand."""

import itertools
import struct

import pytest

from ninefold.sim.golden.sign_board import SignBoard
from ninefold.spec.link import ERROR, LOAD_FINAL, TICKET_MAX, Fault, Kind
from ninefold.spec.registers import BY_NAME

EPOCH = 9
SEQUENCES = itertools.cycle(range(256))


def board(by_id: bool = True) -> SignBoard:
    """Return a board with three rows: all nits positive, two of four negative, all negative."""
    made = SignBoard(2, by_id, 4, 4, 3, 0, 1_000, "tanh", 4, 60, 252)
    ask(made, Kind.LOAD, struct.pack("<I", LOAD_FINAL) + bytes([0xFF, 0xFF, 0x1F, 0xF0, 0x04, 0x00]))
    ask(made, Kind.WRITE, struct.pack("<HHI", BY_NAME["epoch"].address, 1, EPOCH))
    return made


def ask(made: SignBoard, kind: int, payload: bytes, epoch: int = EPOCH) -> bytes:
    """Return the type and the payload of the reply to a request, which is no repeat."""
    reply = made.reply(bytes([kind, next(SEQUENCES), 7, epoch]) + payload)
    return reply[:1] + reply[4:]


# The query 1 1 4 0 has the scores -6, -2 (1 at -1, 1 at 1, 4 at 0 and 0 at -1) and 6.
QUERY = b"\x11\x04"


@pytest.mark.parametrize(("by_id", "found"), [(True, (1, 4, 2, 6)), (False, (2, 6, 1, 4))])
def test_candidates_by_hand(by_id: bool, found: tuple[int, ...]) -> None:
    asked = board(by_id)
    assert ask(asked, Kind.CANDIDATES, b"\0\0\2\0" + QUERY) == b"\x88" + struct.pack("<HH", 1, 0)
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 1, 0, 2, 0)) == b"\x89" + struct.pack("<HHHhHh", 2, 2, *found)
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 1, 1, 1, 0)) == b"\x89" + struct.pack("<HHHh", 2, 1, *found[2:])


def test_a_mask_and_equal_scores() -> None:
    asked = board()
    # Rows 0 and 2 only; of a query of zeros, all scores are equal.
    ask(asked, Kind.CANDIDATES, b"\0\1\1\0" + QUERY + b"\xfd")
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 1, 0, 1, 0)) == b"\x89" + struct.pack("<HHHh", 1, 1, 2, 6)
    ask(asked, Kind.CANDIDATES, b"\0\1\1\0" + b"\0\0" + b"\x06")
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 2, 0, 1, 0)) == b"\x89" + struct.pack("<HHHh", 1, 1, 1, 0)
    ask(asked, Kind.CANDIDATES, b"\0\1\1\0" + QUERY + b"\xf8")
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 3, 0, 0, 0)) == b"\x89" + struct.pack("<HH", 0, 0)


def test_two_tickets_are_kept_until_a_load_or_a_reset() -> None:
    asked = board()
    asked.ticket = TICKET_MAX - 1
    for ticket in (TICKET_MAX, 1, 2):
        assert ask(asked, Kind.CANDIDATES, b"\0\0\1\0" + QUERY) == b"\x88" + struct.pack("<HH", ticket, 0)
    gone = b"\xff" + struct.pack("<BBHI", Fault.TICKET, Kind.FETCH, 0, 2)
    assert ask(asked, Kind.FETCH, struct.pack("<4H", TICKET_MAX, 0, 0, 0)) == gone
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 1, 0, 0, 0))[:1] == b"\x89"
    ask(asked, Kind.LOAD, struct.pack("<I", 0) + b"\1")
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 2, 0, 0, 0)) == gone
    asked = board()
    ask(asked, Kind.CANDIDATES, b"\0\0\1\0" + QUERY)
    ask(asked, Kind.RESET, b"")
    assert ask(asked, Kind.FETCH, struct.pack("<4H", 1, 0, 0, 0))[1:3] == bytes([Fault.TICKET, Kind.FETCH])


@pytest.mark.parametrize(
    ("kind", "payload", "epoch", "fault", "detail"),
    [
        (Kind.QUERY, b"\0\1\1\0" + QUERY, EPOCH, Fault.KIND, 0),
        (Kind.CANDIDATES, b"\0\0\1", EPOCH, Fault.LENGTH, 3),
        (Kind.CANDIDATES, b"\0\2\1\0" + QUERY, EPOCH, Fault.LENGTH, 6),
        (Kind.CANDIDATES, b"\2\0\0\0" + QUERY, 1, Fault.FORMAT, 3),
        (Kind.CANDIDATES, b"\0\0\0\0" + QUERY, 1, Fault.EPOCH, EPOCH),
        (Kind.CANDIDATES, b"\0\0\0\0" + QUERY, EPOCH, Fault.KEEP, 2),
        (Kind.CANDIDATES, b"\0\0\3\0", EPOCH, Fault.KEEP, 2),
        (Kind.CANDIDATES, b"\0\0\1\0" + QUERY + b"\1", EPOCH, Fault.LENGTH, 7),
        (Kind.CANDIDATES, b"\0\1\1\0" + QUERY, EPOCH, Fault.LENGTH, 6),
        (Kind.FETCH, bytes(7), 0, Fault.LENGTH, 7),
        (Kind.FETCH, struct.pack("<4H", 1, 0, 9999, 0), 0, Fault.TICKET, 0),
    ],
)
def test_refusals(kind: int, payload: bytes, epoch: int, fault: Fault, detail: int) -> None:
    assert ask(board(), kind, payload, epoch) == bytes([ERROR]) + struct.pack("<BBHI", fault, kind, 0, detail)


def test_refusals_of_a_fetch() -> None:
    asked = board()
    ask(asked, Kind.CANDIDATES, b"\0\0\2\0" + QUERY)
    for offset, count, fault, detail in ((0, 63, Fault.REPLY, 252), (0, 3, Fault.RANGE, 2), (3, 0, Fault.RANGE, 2)):
        reply = ask(asked, Kind.FETCH, struct.pack("<4H", 1, offset, count, 0))
        assert reply == bytes([ERROR]) + struct.pack("<BBHI", fault, Kind.FETCH, 0, detail)


def test_counters_and_registers() -> None:
    asked = board()
    ask(asked, Kind.CANDIDATES, b"\0\0\2\0" + QUERY)
    ask(asked, Kind.CANDIDATES, b"\0\1\2\0" + QUERY + b"\1")
    named = {name: asked.register(BY_NAME[name].address) for name in ("design", "keep", "k", "queries", "accepted_low")}
    assert named == {"design": 1, "keep": 2, "k": 0, "queries": 2, "accepted_low": 3}
