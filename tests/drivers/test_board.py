import itertools
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.drivers.board import Board
from ninefold.drivers.boards import open_board
from ninefold.drivers.known_answer import answer_of, known_rows
from ninefold.drivers.protocol import requests
from ninefold.numerics.nits import pack
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnsupportedError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import PREFIX_BYTES
from tests.drivers.board_model import DIGEST, BoardModel, Clock, ModelTransport, serve
from tests.drivers.faults import Faults

RNG = np.random.default_rng(44)


def nits(rows: int, dimensions: int) -> np.ndarray:
    return RNG.integers(-4, 5, (rows, dimensions)).astype(np.int8)


def packed(values: np.ndarray) -> np.ndarray:
    """Pack, an odd count too."""
    if values.shape[1] % 2:
        values = np.concatenate([values, np.zeros((len(values), 1), np.int8)], axis=1)
    return pack(np.ascontiguousarray(values))


def best(queries: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores = queries.astype(int) @ rows.astype(int).T
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(scores, ids, axis=1)


def opened(
    model: BoardModel | None = None,
    there: Callable[[bytes], bytes] = bytes,
    back: Callable[[bytes], bytes] = bytes,
    event: Callable[[BoardModel], None] = lambda _b: None,
    **settings: Any,
) -> tuple[Board, BoardModel]:
    model, clock = model or BoardModel(), Clock()
    settings = {"timeout_s": 0.1, "tries": 12, **settings}
    return Board(ModelTransport(model, clock, there, back, event), clock=clock, **settings), model


def search_and_check(board: Board, rows: np.ndarray, queries: np.ndarray, k: int) -> None:
    mined = board.search(packed(queries), k)
    ids, scores = best(queries, rows, k)
    assert np.array_equal(mined.scores, scores)
    assert np.array_equal(mined.ids, ids)
    assert (mined.ids.dtype, mined.scores.dtype) == (np.int64, np.int32)


@pytest.mark.parametrize("formats", [1, 2, 3])
@pytest.mark.parametrize(("rows", "dimensions", "k"), [(64, 32, 16), (1, 32, 5), (3, 31, 16), (200, 2, 9), (129, 1, 1)])
def test_search_on_databases_of_any_size(formats: int, rows: int, dimensions: int, k: int) -> None:
    board, _ = opened(BoardModel(formats=formats))
    stored, asked = nits(rows, dimensions), nits(30, dimensions)
    board.load(packed(stored), dimensions)
    search_and_check(board, stored, asked, k)
    search_and_check(board, stored, asked[:1], 1)
    assert board.search(packed(asked[:0]), k).ids.shape == (0, min(k, rows))


def test_a_page_that_is_there_is_not_loaded_again() -> None:
    board, model = opened()
    stored, asked = nits(150, 32), nits(5, 32)
    board.load(packed(stored), 32)
    loads = [model.loads]
    for _ in range(3):
        search_and_check(board, stored, asked, 8)
        loads.append(model.loads)
    assert np.diff(loads).tolist() == [2, 2, 2]  # three pages, one of which is there


def test_two_drivers_on_one_board_see_that_their_data_is_gone() -> None:
    model = BoardModel()
    drivers = [opened(model, seed=seed)[0] for seed in range(2)]
    stored = [nits(64, 32), nits(64, 32)]
    asked = nits(10, 32)
    for driver, rows in zip(drivers, stored, strict=True):
        driver.load(packed(rows), 32)
    for _ in range(3):
        for driver, rows in zip(drivers, stored, strict=True):
            search_and_check(driver, rows, asked, 4)
    assert drivers[0].reloads + drivers[1].reloads >= 5


def test_drivers_on_one_board_quantise_by_their_own_thresholds() -> None:
    model = BoardModel()
    stored, grid = nits(40, 32), RNG.integers(-7000, 7000, (20, 32)).astype(np.int16)
    drivers = [(opened(model, seed=seed)[0], THRESHOLDS[mode].reached_at) for seed, mode in enumerate(THRESHOLDS)]
    for driver, thresholds in drivers:
        driver.load(packed(stored), 32, thresholds)
    for _ in range(2):
        for driver, thresholds in drivers:
            reached = sum((np.abs(grid.astype(int)) >= t).astype(int) for t in thresholds)
            assert np.array_equal(driver.search(grid, 5).ids, best(np.sign(grid) * reached, stored, 5)[0])


@pytest.mark.parametrize("rows", [40, 150])
def test_a_store_is_adopted_only_with_what_it_holds(rows: int) -> None:
    stored, asked, tanh = nits(rows, 32), nits(10, 32), THRESHOLDS["tanh"].reached_at
    first, model = opened(seed=1)
    second, _ = opened(model, seed=2)
    assert not second.adopt(packed(stored), 32)
    first.load(packed(stored), 32, tanh)
    other = stored.copy()
    other[0, 0] = -other[0, 0] or 1
    loads = model.loads
    for taken, thresholds, is_there in (
        (other, tanh, False),
        (stored[:-1][:63], tanh, False),
        (stored, (1, 2, 3, 4), False),
        (stored, tanh, True),
        (stored, None, True),
    ):
        assert second.adopt(packed(taken), 32, thresholds) is is_there
    assert model.loads == loads
    search_and_check(second, stored, asked, 8)
    search_and_check(first, stored, asked, 8)
    model._execute(4, 0, requests.load(0, packed(stored)[:20].tobytes(), final=False))
    assert not opened(model)[0].adopt(packed(stored), 32, tanh)


def test_grid_values_are_quantised_by_the_board() -> None:
    board, model = opened()
    stored = nits(20, 32)
    board.load(packed(stored), 32)
    grid = RNG.integers(-7000, 7000, (40, 32)).astype(np.int16)

    def asked(thresholds: tuple[int, ...]) -> np.ndarray:
        reached = sum((np.abs(grid.astype(int)) >= t).astype(int) for t in thresholds)
        return np.sign(grid) * reached

    mined = board.search(grid, 6)
    assert np.array_equal(mined.ids, best(asked(THRESHOLDS["tanh"].reached_at), stored, 6)[0])
    board.set_thresholds((10, 2000, 3000, 4000))
    assert board.thresholds() == (10, 2000, 3000, 4000)
    mined = board.search(grid, 6)
    assert np.array_equal(mined.scores, best(asked((10, 2000, 3000, 4000)), stored, 6)[1])
    model.reset()  # behind the driver's back: thresholds and store come back
    mined = board.search(grid, 6)
    assert np.array_equal(mined.scores, best(asked((10, 2000, 3000, 4000)), stored, 6)[1])
    assert board.reloads == 1


def test_what_a_board_says() -> None:
    board, _ = opened()
    identity = board.identity
    assert (identity.dimensions, identity.depth, identity.k, identity.window) == (32, 64, 16, 8)
    board.check_digest(DIGEST.hex().upper())
    with pytest.raises(
        DeviceError, match=r"^the board holds the bitstream 0001020304050607 where abababab.* program it$"
    ):
        board.check_digest("ab" * 32)
    assert str(board.condition) == "nothing loaded"
    board.load(packed(nits(8, 32)), 32)
    board.search(packed(nits(25, 32)), 4)
    assert board.statistics().queries == 25
    assert board.link_statistics.repeats == 0
    board.reset()
    assert board.statistics().queries == 0


def test_the_known_answer_test_passes_and_leaves_nothing_loaded() -> None:
    board, _ = opened()
    board.selftest()
    with pytest.raises(InputError, match=r"^nothing is loaded on the board$"):
        board.search(packed(nits(1, 32)), 1)


@pytest.mark.parametrize(("k", "depth"), [(1, 1), (16, 64), (8, 4)])
def test_the_known_answer_fits_small_boards(k: int, depth: int) -> None:
    opened(BoardModel(k=k, depth=depth))[0].selftest()
    known = answer_of(known_rows(32, depth, k), k)
    assert len(known.rows) == min(depth, 2 * k)
    assert known.scores.max() <= 16 * 32


class WrongBoard(BoardModel):
    """Ranks the later of equal scores first."""

    def _query(self, epoch: int, payload: bytes) -> bytes:
        good = super()._query(epoch, payload)
        return good[:4] + good[10:16] + good[4:10] + good[16:]


def test_a_board_that_answers_wrongly_fails_its_test() -> None:
    board, _ = opened(WrongBoard())
    with pytest.raises(DeviceError, match=r"^the board fails its known-answer test: query 0 has score -?\d+ at rank 0"):
        board.selftest()


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda b: b.search(packed(nits(1, 32)), 17), UnsupportedError, r"^k must be 1 to 16 on this board, not 17$"),
        (lambda b: b.search(packed(nits(1, 32)), 0), UnsupportedError, r"^k must be 1 to 16 on this board, not 0$"),
        (lambda b: b.search(packed(nits(1, 34)), 1), UnsupportedError, r"^34 dimensions, where the board has 32$"),
        (
            lambda b: b.search(np.zeros((1, 33), np.int16), 1),
            UnsupportedError,
            r"^33 dimensions, where",
        ),
        (lambda b: b.search(np.zeros((1, 2)), 1), InputError, r"^queries must have dtype uint8, not float64$"),
        (
            lambda b: b.search(np.full((2, 16), 0x50, np.uint8), 1),
            InputError,
            r"^queries must be -4 to 4, not 5 at \(0, 1\)",
        ),
        (lambda b: b.load(packed(nits(3, 34)), 34), UnsupportedError, r"^34 dimensions, where the board has 32$"),
        (
            lambda b: b.load(packed(nits(3, 32)), 30),
            InputError,
            r"^rows of 30 dimensions must have shape \(",
        ),
        (lambda b: b.load(packed(nits(0, 32)), 32), InputError, r"^a board cannot be loaded with 0 rows$"),
        (lambda b: b.set_thresholds((1, 2, 3, 65536)), InputError, r"^a threshold must be 0 to 65535, not 65536$"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_numbers(
    act: Callable[[Board], object], error: type[Exception], message: str
) -> None:
    board, model = opened()
    board.load(packed(nits(5, 32)), 32)
    executed = model.executed
    with pytest.raises(error, match=message):
        act(board)
    assert model.executed == executed


def test_formats_and_frames_that_a_board_does_not_have_are_refused() -> None:
    board, _ = opened(BoardModel(formats=1))
    board.load(packed(nits(5, 32)), 32)
    with pytest.raises(UnsupportedError, match=r"^the board accepts only packed nits, not grid values$"):
        board.search(np.zeros((1, 32), np.int16), 1)
    board, _ = opened(BoardModel(reply_max=88))
    board.load(packed(nits(50, 32)), 32)
    with pytest.raises(UnsupportedError, match=r"^a query of 16 bytes with 16 results does not fit .* 520 bytes"):
        board.search(packed(nits(1, 32)), 16)
    board.search(packed(nits(1, 32)), 14)


def test_ten_thousand_queries_through_a_bad_link_and_resets() -> None:
    stored, asked = nits(64, 32), nits(10_000, 32)
    writes = itertools.count(1)

    def reset_now_and_then(model: BoardModel) -> None:
        if next(writes) in (60, 200):
            model.reset()

    rates = {"flip": 1e-4, "drop": 2e-5, "repeat": 2e-5, "delay": 0.01, "cut": 0.005, "garbage": 0.01}
    there, back = (Faults(random.Random(side), **rates) for side in (70, 71))
    board, _ = opened(there=there, back=back, event=reset_now_and_then)
    board.load(packed(stored), 32)
    search_and_check(board, stored, asked, 4)
    assert board.reloads == 2
    assert board.link_statistics.repeats > 10


def test_a_board_that_is_reset_again_and_again_fails() -> None:
    writes = itertools.count(1)

    def reset(model: BoardModel) -> None:
        if next(writes) % 12 == 0:
            model.reset()

    board, _ = opened()
    board.load(packed(nits(10, 32)), 32)
    transport = board.link._transport
    assert isinstance(transport, ModelTransport)
    transport._event = reset
    with pytest.raises(DeviceError, match=r"was reset 4 times in one search|^after the load the board holds|refused"):
        board.search(packed(nits(2000, 32)), 4)


def test_another_board_in_the_middle_of_a_search_is_a_lost_device() -> None:
    board, model = opened()
    board.load(packed(nits(10, 32)), 32)
    model.reset()
    model.digest = bytes(32)
    with pytest.raises(LostDeviceError, match=r"^another board answers now: bitstream 0{16} instead of 0001"):
        board.search(packed(nits(10, 32)), 4)


def test_a_process_killed_in_mid_load_leaves_nothing_that_answers() -> None:
    stored, asked = nits(64, 32), nits(20, 32)
    model = BoardModel()
    first, _ = opened(model)
    first.load(packed(nits(64, 32)), 32)  # an older database, of which nothing may be found
    load = requests.load(0, packed(stored)[:20].tobytes(), final=False)
    assert len(load) == PREFIX_BYTES + 320
    model._execute(4, 0, load)
    model._input += b"\x20half a frame"
    second, _ = opened(model)
    assert second.condition.interrupted
    assert str(second.condition) == "a load that was interrupted after 320 bytes"
    second.load(packed(stored), 32)
    search_and_check(second, stored, asked, 8)
    third, _ = opened(model)
    assert str(third.condition) == f"64 rows of epoch {model.epoch}"


KILLED = """
import os, signal, sys
import numpy as np
from ninefold.drivers.board import Board
from ninefold.drivers.transports import open_transport

transport = open_transport(sys.argv[1])
board = Board(transport)
write, writes = transport.write, []

def count(data, timeout_s):
    write(data, timeout_s)
    writes.append(data)
    if len(writes) == 4:  # a greeting, the epoch, two blocks
        os.kill(os.getpid(), signal.SIGKILL)

transport.write = count
board.load(np.full((64, 16), 0x11, np.uint8), 32)
"""


def test_a_real_process_killed_in_mid_load_and_started_again() -> None:
    model = BoardModel(request_max=100)
    stored, asked = nits(64, 32), nits(20, 32)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    serve(connection.fileno(), model)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        killed = subprocess.run([sys.executable, "-c", KILLED, url], capture_output=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        board = open_board(url, digest=DIGEST.hex(), selftest=False)
        assert board.condition.interrupted
        assert board.condition.load_bytes < 64 * 16
        board.load(packed(stored), 32)
        search_and_check(board, stored, asked, 8)
        board.close()
        thread.join(10)


def test_a_board_whose_store_holds_something_else_is_refused() -> None:
    class Forgetful(BoardModel):
        def _load(self, payload: bytes) -> bytes:
            return super()._load(payload[:4] + bytes(len(payload) - 4))

    board, _ = opened(Forgetful())
    with pytest.raises(DeviceError, match=r"^after the load the board holds 10 rows, 160 bytes with CRC .* were sent$"):
        board.load(packed(nits(10, 32)), 32)


def test_nothing_that_answers_closes_the_stream() -> None:
    transport = ModelTransport(BoardModel(hung=True), clock := Clock())
    with pytest.raises(
        LostDeviceError,
        match=r"^the link is dead: IDENTIFY was sent 3 times within .* s without an answer; the board is not",
    ):
        Board(transport, timeout_s=0.1, tries=3, clock=clock)
    assert transport.closed
    assert clock.now < 0.4


def test_a_device_that_is_no_board_is_named() -> None:
    class Other(BoardModel):
        def word(self, address: int) -> int:
            return 99 if address == 1 else super().word(address)

    with pytest.raises(
        LostDeviceError, match=r"^the device that answers is no board of this version: the board reports version"
    ):
        opened(Other())


def test_a_session_with_a_board_is_recorded_and_played_back(tmp_path: Path) -> None:
    stored, asked = nits(20, 32), nits(50, 32)
    found = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection.fileno(), BoardModel())

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        path = tmp_path / "session"
        for url, record in ((f"tcp://127.0.0.1:{server.getsockname()[1]}", path), (f"replay://{path}", None)):
            board = open_board(url, digest=DIGEST.hex(), record=record)
            board.load(packed(stored), 32)
            found.append(board.search(packed(asked), 5).ids)
            board.close()
        thread.join(10)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], best(asked, stored, 5)[0])
    with pytest.raises(DeviceError, match=r"holds the bitstream"):
        open_board(f"replay://{path}", digest="00" * 32)
