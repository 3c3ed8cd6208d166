"""The benchmark of the link, on a model of a board."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

from ninefold.drivers import benchmarks, codec_benchmark, stream_benchmark
from ninefold.drivers.bench import Measured, measure
from ninefold.drivers.benchmarks import link
from ninefold.drivers.board import Board
from ninefold.drivers.protocol import stream_replies
from ninefold.sim.golden.link import pieces, stuff
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

    monkeypatch.setitem(codec_benchmark._PLANS, "small", (1, 1))
    monkeypatch.setattr(benchmarks, "measure_streams", lambda _: [])
    monkeypatch.setattr(benchmarks, "open_board", open_board)
    monkeypatch.setattr(benchmarks, "measure", measured)
    monkeypatch.setattr(benchmarks, "url_of", lambda name: name)
    return names


def test_payload_and_cycles(opened: list[tuple[str, str]]) -> None:
    figures = {f.quantity: f for f in link(Request("small", ("board:X#ab", "cpu"))) if f.case == "link"}
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


def test_payload_bytes_a_cycle_of_a_board_around_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    (figure,) = stream_benchmark.measure_streams(Request("tiny"))
    assert (figure.case, figure.subject, figure.kind) == ("streams", "board:virtual", "exact")
    assert 0.8 <= figure.value < 1
    assert figure.parameters == {"window": 8, "core": "queue"}
    assert stream_benchmark.measure_streams(Request("tiny")) == [figure], "cycles of a simulated board are exact"
    pulled = stream_replies.pulled
    monkeypatch.setattr(stream_benchmark.stream_replies, "pulled", lambda *given: pulled(*given)[:-1] + b"\xff")
    with pytest.raises(DeviceError, match=r"the board gave .* bytes, which are not the first of .* that it took"):
        stream_benchmark.measure_streams(Request("tiny"))


def test_a_board_that_counts_nothing(opened: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "measure", measure)
    with pytest.raises(DeviceError, match="board:virtual/tiny counted no cycles for 20 queries"):
        link(Request("tiny"))


def test_the_smallest_is_a_virtual_board(opened: list[tuple[str, str]]) -> None:
    figures = link(Request("tiny"))
    assert opened == [("board:virtual/tiny", "")]
    assert {f.target for f in figures if f.case == "link"} == {""}, "too few queries to tell their share of the bytes"
    assert link.measures(("board:virtual/tiny",))
    assert not link.measures(("cpu",))


def peer(monkeypatch: pytest.MonkeyPatch, wrong: bytes = b"") -> None:
    """Have the golden model stand for the package cobs, with `wrong` after its bytes."""
    package, module = ModuleType("cobs"), ModuleType("cobs.cobs")
    vars(module)["encode"] = lambda body: stuff(body)[:-1] + wrong
    vars(module)["decode"] = lambda encoded: bytes(piece.byte for piece in pieces(encoded + b"\0") if not piece.end)
    vars(package)["cobs"] = module
    package.__spec__ = module.__spec__ = ModuleSpec("cobs", None)
    monkeypatch.setitem(sys.modules, "cobs", package)
    monkeypatch.setitem(sys.modules, "cobs.cobs", module)


def test_the_codec_is_measured_beside_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    peer(monkeypatch)
    monkeypatch.setitem(codec_benchmark._PLANS, "small", (2, 1))
    figures = codec_benchmark.measure_codec(Request("small"))
    zeros = {(f.subject, f.quantity): f for f in figures if f.parameters["content"] == "zeros"}
    assert set(zeros) == {
        ("ninefold", "payload of bytes on a UART"),
        *((name, quantity) for name in ("ninefold", "cobs") for quantity in ("encoded", "decoded")),
        ("ninefold", "encoded, beside cobs"),
        ("ninefold", "decoded, beside cobs"),
    }
    assert zeros["ninefold", "encoded"].target == ">= 20"
    assert zeros["ninefold", "encoded"].repetitions == 2
    beside = zeros["ninefold", "decoded, beside cobs"]
    assert beside.ratio == pytest.approx(beside.value / zeros["cobs", "decoded"].value)
    share = zeros["ninefold", "payload of bytes on a UART"]
    # Header, CRC, a code and the delimiter are 10 bytes; each of 8 frames is one of them more per full run.
    assert (share.value, share.met) == (8 * 1016 / (8 * 1026), True)
    peer(monkeypatch, wrong=b"\x01")
    with pytest.raises(DeviceError, match="the package cobs gives other frames"):
        codec_benchmark.measure_codec(Request("tiny"))


def test_a_missing_peer_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_benchmark.importlib.util, "find_spec", lambda _: None)
    notes: list[str] = []
    figures = codec_benchmark.measure_codec(Request("tiny", note=notes.append))
    assert notes == ["link: the codec has no peer: cobs is not installed; pip install 'ninefold[bench]'"]
    assert {f.subject for f in figures} == {"ninefold"}
    assert {f.target for f in figures} == {"", ">= 0.9"}
