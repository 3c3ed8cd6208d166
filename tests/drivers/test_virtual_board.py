"""The driver against the verilated miner, which was written apart from it."""

import numpy as np
import pytest

from ninefold.drivers.board import Board
from ninefold.drivers.boards import open_board
from ninefold.drivers.transports import open_transport
from ninefold.numerics.nits import pack
from ninefold.spec.errors import DeviceError, LostDeviceError, UnsupportedError
from ninefold.spec.formats import THRESHOLDS

RNG = np.random.default_rng(45)
BOARD = "sim://virtual/tiny"


def nits(rows: int, dimensions: int) -> np.ndarray:
    return RNG.integers(-4, 5, (rows, dimensions)).astype(np.int8)


def best(queries: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-(queries.astype(int) @ rows.astype(int).T), axis=1, kind="stable")[:, :k]


def test_a_clean_board_does_all_that_the_driver_asks() -> None:
    board = open_board(BOARD)
    try:
        assert (board.identity.dimensions, board.identity.depth, board.identity.lanes) == (32, 64, 8)
        assert len(board.identity.digest) == 64
        board.check_digest(board.identity.digest)
        assert str(board.condition) == "nothing loaded"
        # Fewer dimensions, and more rows than the store holds.
        stored, asked = nits(150, 30), nits(40, 30)
        board.load(pack(stored), 30)
        for k in (1, 5, board.identity.k):
            before = board.statistics().cycles
            mined = board.search(pack(asked), k)
            assert np.array_equal(mined.ids, best(asked, stored, k))
            # Scoring a row takes 4 cycles; loads are not counted.
            assert 40 * 150 * 4 < mined.cycles < board.statistics().cycles - before - 64 * 16
        with pytest.raises(UnsupportedError, match=rf"^k must be 1 to {board.identity.k} on this board, not 9$"):
            board.search(pack(asked), 9)
        grid = RNG.integers(-7000, 7000, (40, 30)).astype(np.int16)
        reached = sum((np.abs(grid.astype(int)) >= t).astype(int) for t in THRESHOLDS["tanh"].reached_at)
        assert np.array_equal(board.search(grid, 4).ids, best(np.sign(grid) * reached, stored, 4))
        counted = board.statistics()
        assert (counted.crc_errors, counted.dropped, counted.temperature_celsius) == (0, 0, None)
        assert counted.queries >= 40 * 3 * 4
        happened = board.link_statistics
        assert happened.damaged == board.reloads == 0
        assert happened.repeats == 0 or happened.timeouts > 0, "a machine that stalls may ask again, and no other"
        board.reset()
        assert board.statistics().queries == 0
        assert np.array_equal(board.search(pack(asked), 2).ids, best(asked, stored, 2))
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
        stored, asked = nits(64, 32), nits(2000, 32)
        board.load(pack(stored), 32)
        assert np.array_equal(board.search(pack(asked), 8).ids, best(asked, stored, 8))
        assert board.reloads == reloads
        assert board.link_statistics.repeats > 0
    finally:
        board.close()


def test_ten_thousand_queries_through_every_fault() -> None:
    faults = "flip=1e-4&drop=2e-5&repeat=2e-5&cut=2e-5&delay=1e-5&delay_s=0.01&reset=90000&seed=8"
    board = Board(open_transport(f"{BOARD}?{faults}"), timeout_s=2, seed=9)
    try:
        stored, asked = nits(64, 32), nits(10_000, 32)
        board.load(pack(stored), 32)
        mined = board.search(pack(asked), 2)
        assert np.array_equal(mined.ids, best(asked, stored, 2))
        assert board.reloads == 1
        assert board.link_statistics.repeats > 20
        assert board.statistics().crc_errors > 0
    finally:
        board.close()


def test_a_board_that_hangs_is_reported() -> None:
    board = Board(open_transport(f"{BOARD}?hang=5000"), timeout_s=0.2, tries=6)
    try:
        board.load(pack(nits(64, 32)), 32)
        with pytest.raises(LostDeviceError, match=r"^the link is dead: QUERY was sent 6 times"):
            board.search(pack(nits(2000, 32)), 8)
    finally:
        board.close()


def test_a_board_with_another_digest_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"^the board holds the bitstream \w+ where 00000000"):
        open_board(BOARD, digest="00" * 32)
