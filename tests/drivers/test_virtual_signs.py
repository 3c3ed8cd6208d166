"""The driver against the verilated board that scans signs: parts, masks, bad links, resets, hangs."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold.drivers.board import Board
from ninefold.drivers.boards import open_board
from ninefold.drivers.transports import open_transport
from ninefold.numerics.nits import pack
from ninefold.spec.errors import LostDeviceError, UnsupportedError
from ninefold.spec.formats import THRESHOLDS
from tests.drivers.test_tickets import scan_and_check, scanned

RNG = np.random.default_rng(49)
BOARD = "sim://virtual/signs"


def nits(rows: int, dimensions: int) -> np.ndarray:
    return RNG.integers(-4, 5, (rows, dimensions)).astype(np.int8)


def mask_of(rows: int, share: float) -> np.ndarray:
    return np.packbits(RNG.random(rows) < share, bitorder="little")


def test_a_clean_board_does_all_that_the_driver_asks() -> None:
    board = open_board(BOARD)  # after its known-answer test
    try:
        assert (board.identity.design, board.identity.k) == ("signs", 0)
        depth, keep, dimensions = board.identity.depth, board.identity.keep, board.identity.dimensions
        # Fewer dimensions, and more rows than the store holds, whose parts end within bytes of a mask.
        rows = 2 * depth + 43
        stored, asked = nits(rows, dimensions - 2), nits(20, dimensions - 2)
        board.load(pack(stored), dimensions - 2)
        for kept in (1, 7, keep):
            scan_and_check(board, stored, asked, kept)
            scan_and_check(board, stored, asked, kept, mask_of(rows, 0.3))
        few = np.zeros(-(-rows // 8), np.uint8)
        few[-3] = 0x18
        scan_and_check(board, stored, asked, keep, few)
        found = board.candidates(pack(asked), keep)
        assert found.cycles > 20 * rows * dimensions // board.identity.lanes
        with pytest.raises(UnsupportedError, match=rf"^keep must be 1 to {keep} on this board, not {keep + 1}$"):
            board.candidates(pack(asked), keep + 1)
        grid = RNG.integers(-7000, 7000, (20, dimensions - 2)).astype(np.int16)
        reached = sum((np.abs(grid.astype(int)) >= t).astype(int) for t in THRESHOLDS["tanh"].reached_at)
        assert board.candidates(grid, 9).ids.tolist() == scanned(np.sign(grid) * reached, stored, 9)[0]
        happened = board.link_statistics
        assert happened.damaged == board.reloads == 0
        assert happened.repeats == 0 or happened.timeouts > 0, "a machine that stalls may ask again, and no other"
        board.reset()
        scan_and_check(board, stored, asked, 5)
    finally:
        board.close()


@pytest.mark.parametrize(
    ("faults", "reloads"),
    [
        ("flip=1e-4&seed=3", 0),
        ("drop=1e-4&repeat=1e-4&cut=5e-5&seed=4", 0),
        ("delay=1e-4&delay_s=0.01&flip=1e-4&seed=5", 0),
        ("reset=15000&flip=1e-4&seed=6", 1),
    ],
)
def test_no_query_is_lost_or_wrong_on_a_bad_link(faults: str, reloads: int) -> None:
    board = Board(open_transport(f"{BOARD}?{faults}"), timeout_s=2, seed=7)
    try:
        stored, asked = nits(board.identity.depth, 32), nits(400, 32)
        board.load(pack(stored), 32)
        scan_and_check(board, stored, asked, 40, mask_of(len(stored), 0.7))
        assert board.reloads == reloads
        assert board.link_statistics.repeats > 0
    finally:
        board.close()


def test_a_board_that_hangs_is_reported() -> None:
    board = Board(open_transport(f"{BOARD}?hang=12000"), timeout_s=0.2, tries=6)
    try:
        board.load(pack(nits(board.identity.depth, 32)), 32)
        with pytest.raises(LostDeviceError, match=r"^the link is dead: (CANDIDATES|FETCH) was sent 6 times"):
            board.candidates(pack(nits(2000, 32)), 8)
    finally:
        board.close()
