"""The benchmark of the link, on a model of a board."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ninefold.drivers import benchmarks
from ninefold.drivers.bench import Measured, measure
from ninefold.drivers.benchmarks import link
from ninefold.drivers.board import Board
from ninefold.spec.benchmark import Request
from ninefold.spec.errors import DeviceError
from tests.drivers.board_model import BoardModel, Clock, ModelTransport


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Have a model stand for every board; returns what was opened."""
    names: list[tuple[str, str]] = []

    def open_board(name: str, *, digest: str = "", **_: Any) -> Board:
        names.append((name, digest))
        model = BoardModel(dimensions=384, window=2, request_max=1020, reply_max=252)
        clock = Clock()
        return Board(ModelTransport(model, clock), clock=clock)

    def measured(*arguments: Any) -> Measured:
        # The model answers at once, in no cycles.
        return replace(measure(*arguments), cycles_a_query=4000.0, queries_a_second=6000.0)

    monkeypatch.setattr(benchmarks, "open_board", open_board)
    monkeypatch.setattr(benchmarks, "measure", measured)
    monkeypatch.setattr(benchmarks, "url_of", lambda name: name)
    return names


def test_payload_and_cycles(opened: list[tuple[str, str]]) -> None:
    figures = {f.quantity: f for f in link(Request("small", ("board:X#ab", "cpu")))}
    assert opened == [("board:X", "ab")]
    share = figures["payload of bytes to the board"]
    assert share.met
    assert share.target == ">= 0.9"
    # 300 queries of 192 bytes.
    assert share.detail.startswith("57,600 bytes of nits in ")
    assert share.value == pytest.approx(57_600 / int(share.detail.split()[-1].replace(",", "")))
    assert share.repetitions == 3
    assert figures["queries a second"].kind == "projected"
    assert figures["cycles a query"].subject == "board:X#ab"
    assert figures["cycles a query"].value == 4000


def test_a_board_that_counts_nothing(opened: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "measure", measure)
    with pytest.raises(DeviceError, match="board:virtual/tiny counted no cycles for 20 queries"):
        link(Request("tiny"))


def test_the_smallest_is_a_virtual_board(opened: list[tuple[str, str]]) -> None:
    figures = link(Request("tiny"))
    assert opened == [("board:virtual/tiny", "")]
    assert {f.target for f in figures} == {""}, "too few queries to say how many of the bytes they are"
    assert link.measures(("board:virtual/tiny",))
    assert not link.measures(("cpu",))
