"""Candidates from a model of a board that scans signs: any size, masks, bad links, resets, lost tickets."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ninefold.drivers.board import Board
from ninefold.drivers.known_answer import KEEP, candidates_of, known_rows
from ninefold.drivers.protocol import requests
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError
from ninefold.spec.formats import THRESHOLDS
from ninefold.spec.link import Kind
from tests.drivers.board_model import BoardModel, ModelTransport
from tests.drivers.faults import Faults
from tests.drivers.test_board import nits, opened, packed

RNG = np.random.default_rng(48)


def signs(**settings: Any) -> BoardModel:
    return BoardModel(**{"design": "signs", "k": 0, "keep": 40, "lanes": 64, "reply_max": 100, **settings})


def mask_of(rows: int, share: float) -> np.ndarray:
    return np.packbits(RNG.random(rows) < share, bitorder="little")


def scanned(
    queries: np.ndarray, rows: np.ndarray, keep: int, allowed: np.ndarray | None = None
) -> tuple[list[list[int]], list[list[int]]]:
    """Rows and coarse scores, by a sort of all allowed rows."""
    ids = range(len(rows)) if allowed is None else [r for r in range(len(rows)) if allowed[r // 8] >> r % 8 & 1]
    found = []
    for query in queries.astype(int):
        scores = np.where(rows < 0, -query, query).sum(axis=1)
        found.append(sorted((-int(scores[r]), r) for r in ids)[:keep])
    return [[r for _, r in one] for one in found], [[-s for s, _ in one] for one in found]


def scan_and_check(
    board: Board, rows: np.ndarray, queries: np.ndarray, keep: int, allowed: np.ndarray | None = None
) -> None:
    found = board.candidates(packed(queries), keep, allowed)
    ids, scores = scanned(queries, rows, keep, allowed)
    assert found.ids.tolist() == ids
    assert found.scores.tolist() == scores
    assert (found.ids.dtype, found.scores.dtype) == (np.int64, np.int32)


@pytest.mark.parametrize("formats", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize(
    ("rows", "dimensions", "keep"), [(64, 32, 40), (1, 32, 5), (3, 31, 16), (200, 2, 33), (129, 1, 1)]
)
def test_candidates_of_databases_of_any_size(formats: int, window: int, rows: int, dimensions: int, keep: int) -> None:
    board, _ = opened(signs(formats=formats, window=window))
    stored, asked = nits(rows, dimensions), nits(9, dimensions)
    board.load(packed(stored), dimensions)
    scan_and_check(board, stored, asked, keep)
    scan_and_check(board, stored, asked[:1], 1)
    for share in (0.02, 0.5, 1.0):
        scan_and_check(board, stored, asked, keep, mask_of(rows, share))
    assert board.candidates(packed(asked[:0]), keep).ids.shape == (0, min(keep, rows))


def test_a_part_without_an_allowed_row_is_not_loaded() -> None:
    board, model = opened(signs())
    stored, asked = nits(150, 32), nits(3, 32)
    board.load(packed(stored), 32)
    loads = model.loads
    allowed = np.zeros(19, np.uint8)
    assert board.candidates(packed(asked), 5, allowed).ids.shape == (3, 0)
    allowed[17] = 0xFF  # rows 136 to 143, all in the third part
    scan_and_check(board, stored, asked, 5, allowed)
    assert model.loads == loads + 1


def test_scans_overlap_with_fetches() -> None:
    """All requests of a page are in flight together, as tickets are foretold; a lone query waits for its ticket."""
    board, model = opened(signs())
    stored, asked = nits(64, 32), nits(12, 32)
    board.load(packed(stored), 32)
    order: list[int] = []
    execute = model._execute

    def noted(kind: int, epoch: int, payload: bytes) -> bytes:
        order.append(kind)
        return execute(kind, epoch, payload)

    model._execute = noted  # type: ignore[method-assign]
    waits = itertools.count()
    transport = board.link._transport
    assert isinstance(transport, ModelTransport)
    read = transport.read

    def waited(size: int, timeout_s: float) -> bytes:
        next(waits)
        return read(size, timeout_s)

    transport.read = waited  # type: ignore[method-assign]
    scan_and_check(board, stored, asked, 30)
    fetches = [Kind.FETCH] * 2
    pairs = [kind for _ in asked[1:] for kind in (Kind.CANDIDATES, *fetches)]
    assert order == [Kind.STATISTICS, Kind.CANDIDATES, *pairs, *fetches, Kind.STATISTICS]
    assert next(waits) < 10  # 36 requests, a window of 8 in each turn


def test_a_bad_link_and_resets_lose_nothing() -> None:
    writes = itertools.count(1)

    def reset_now_and_then(model: BoardModel) -> None:
        if next(writes) in (90, 700):
            model.reset()

    rates = {"flip": 1e-4, "drop": 2e-5, "repeat": 2e-5, "delay": 0.01, "cut": 0.005, "garbage": 0.01}
    there, back = (Faults(random.Random(side), **rates) for side in (72, 73))
    board, model = opened(signs(), there=there, back=back, event=reset_now_and_then)
    stored, asked = nits(64, 32), nits(1500, 32)
    board.load(packed(stored), 32)
    scan_and_check(board, stored, asked, 30, mask_of(64, 0.8))
    assert board.reloads == 2
    assert board.link_statistics.repeats > 10
    assert model.queries > 0


@pytest.mark.parametrize("first", [0, 65530])
def test_tickets_of_another_host_in_between(first: int) -> None:
    """Any ticket may be taken by another host, and the numbers begin again after the largest."""
    model = signs(ticket=first)
    writes = itertools.count(1)

    def another(model: BoardModel) -> None:
        if next(writes) % 50 == 0 and model.rows:
            model._candidates(model.epoch, bytes([0, 0, 3, 0]) + bytes(16))

    board, _ = opened(model, event=another)
    stored, asked = nits(64, 32), nits(40, 32)
    board.load(packed(stored), 32)
    for keep in (1, 30):
        scan_and_check(board, stored, asked, keep)
    assert model.ticket == (first + model.queries - 1) % 65535 + 1
    assert model.queries > 83  # 80 of this host, at least 4 of the other one


def test_a_ticket_of_another_host_with_fewer_candidates_is_asked_again() -> None:
    """The refusal that would come before it is lost on the way."""
    model, lost = signs(), itertools.count()

    def another(model: BoardModel) -> None:
        if model.ticket == 1 and model.queries == 1:
            model._candidates(model.epoch, bytes([0, 0, 3, 0]) + bytes(16))

    def without_first_refusal(data: bytes) -> bytes:
        frames = [frame for frame in data.split(b"\0") if frame]
        return b"".join(frame + b"\0" for frame in frames if frame[1:2] != b"\xff" or next(lost))

    board, _ = opened(model, event=another, back=without_first_refusal)
    stored, asked = nits(64, 32), nits(2, 32)
    board.load(packed(stored), 32)
    scan_and_check(board, stored, asked, 20)
    assert next(lost) > 1


def test_an_answer_from_another_database_with_the_same_ticket_is_discarded() -> None:
    """The board loses power between two requests, and another host loads it and takes as many tickets."""
    stored, asked, others = nits(64, 32), nits(1, 32), nits(64, 32)
    model = signs(formats=1)

    def replaced(model: BoardModel) -> None:
        if model.ticket == 1 and model.loads == 1:
            model.reset()
            model.ticket = 0
            model._execute(4, 0, requests.load(0, packed(others).tobytes(), final=True))
            model.epoch = 77
            model._candidates(77, requests.candidates(0, 30, packed(asked).tobytes()))

    board, _ = opened(model, event=replaced, seed=3)
    board.load(packed(stored), 32)
    scan_and_check(board, stored, asked, 30)
    assert board.reloads == 1
    assert board.link_statistics.foreign > 0


def test_a_host_that_takes_every_ticket_ends_the_search() -> None:
    def another(model: BoardModel) -> None:
        if model.rows and model.epoch:
            for _ in range(2):
                model._candidates(model.epoch, bytes([0, 0, 3, 0]) + bytes(16))

    board, _ = opened(signs(), event=another)
    board.load(packed(nits(64, 32)), 32)
    with pytest.raises(DeviceError, match=r"^the board lost the tickets of a query 16 times in a row"):
        board.candidates(packed(nits(3, 32)), 4)


def test_grid_values_are_quantised_by_the_board() -> None:
    board, _ = opened(signs())
    stored, grid = nits(40, 32), RNG.integers(-7000, 7000, (20, 32)).astype(np.int16)
    tanh = THRESHOLDS["tanh"].reached_at
    board.load(packed(stored), 32, tanh)
    asked = np.sign(grid) * sum((np.abs(grid.astype(int)) >= t).astype(int) for t in tanh)
    assert board.candidates(grid, 7).ids.tolist() == scanned(asked, stored, 7)[0]


def test_the_known_answer_test_of_candidates() -> None:
    for settings in ({}, {"keep": 1}, {"depth": 1}, {"keep": 500, "depth": 256, "request_max": 4000}):
        board, model = opened(signs(**settings))
        board.selftest()
        assert model.rows == min(model.depth, 2 * min(model.keep, KEEP))
        with pytest.raises(InputError, match=r"^nothing is loaded on the board$"):
            board.candidates(packed(nits(1, 32)), 1)
    whole, some = candidates_of(known_rows(32, 64, 16), 16)
    assert whole.allowed is None
    assert some.allowed is not None
    assert whole.ids.tolist() != some.ids.tolist()


@pytest.mark.parametrize("allowed", [np.zeros(7, np.uint8), np.zeros(9, np.uint8), np.zeros(8, np.int8)])
def test_a_mask_of_another_length_is_refused(allowed: Any) -> None:
    board, _ = opened(signs())
    board.load(packed(nits(60, 32)), 32)
    message = f"allowed must be uint8 of shape (8,) for 60 rows, not {allowed.dtype} of shape {allowed.shape}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        board.candidates(packed(nits(1, 32)), 4, allowed)


class Unmasked(BoardModel):
    """Finds all rows, whatever the mask says, and reports as many as were asked for."""

    def _candidates(self, epoch: int, payload: bytes) -> bytes:
        allowed = 4 + self.dimensions // 2
        return super()._candidates(epoch, payload[:allowed] + b"\xff" * (len(payload) - allowed))


class Late(BoardModel):
    """Prefers the later of rows with equal scores."""

    def _candidates(self, epoch: int, payload: bytes) -> bytes:
        answer = super()._candidates(epoch, payload)
        rows = self.tickets[self.ticket]
        self.tickets[self.ticket] = [(63 - row, score) for row, score in rows]
        return answer


@pytest.mark.parametrize("wrong", [Unmasked, Late])
def test_a_board_that_errs_fails_its_test(wrong: type[BoardModel]) -> None:
    board, _ = opened(wrong(design="signs", k=0, keep=20, formats=1))
    with pytest.raises(DeviceError, match=r"^the board fails its known-answer test: query \d has (id|score) -?\d+ at"):
        board.selftest()


@pytest.mark.parametrize("request_max", [75, 76])
def test_a_store_is_adopted_after_a_test_of_its_candidates(request_max: int) -> None:
    """A query of 32 grid values and the mask of the whole store take 76 bytes; packed nits always fit."""
    stored, asked, tanh = nits(150, 32), nits(6, 32), THRESHOLDS["tanh"].reached_at
    first, model = opened(signs(request_max=request_max), seed=1)
    first.load(packed(stored), 32, tanh)
    second, _ = opened(model, seed=2)
    assert second.adopt(packed(stored), 32, tanh)
    scan_and_check(second, stored, asked, 20)


@pytest.mark.parametrize(
    ("model", "act", "message"),
    [
        (signs, lambda b: b.candidates(packed(nits(1, 32)), 41), r"^keep must be 1 to 40 on this board, not 41$"),
        (signs, lambda b: b.candidates(packed(nits(1, 32)), 0), r"^keep must be 1 to 40 on this board, not 0$"),
        (signs, lambda b: b.candidates(packed(nits(1, 34)), 1), r"^34 dimensions, where the board has 32$"),
        (
            lambda: signs(request_max=72),
            lambda b: b.candidates(np.zeros((1, 32), np.int16), 1, np.arange(8, dtype=np.uint8)),
            r"^a query of 64 bytes with a mask of 8 does not fit the board's frames of 72 bytes$",
        ),
        (
            signs,
            lambda b: b.search(packed(nits(1, 32)), 1),
            r"^a board of design signs finds candidates by the signs of nits; only design miner searches by all nits$",
        ),
        (
            BoardModel,
            lambda b: b.candidates(packed(nits(1, 32)), 1),
            r"^a board of design miner searches by all nits; only design signs finds candidates by the signs of nits$",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    model: Callable[[], BoardModel], act: Callable[[Board], object], message: str
) -> None:
    board, made = opened(model())
    board.load(packed(nits(64, 32)), 32)
    executed = made.executed
    with pytest.raises(UnsupportedError, match=message):
        act(board)
    assert made.executed == executed
