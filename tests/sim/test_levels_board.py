"""The level board of a core: the plain vectors on a board around it, and faults that no other level shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.drivers.streams import StreamClient
from ninefold.hdl.catalogue import find_core
from ninefold.host.cli import cli
from ninefold.sim.levels import Setup, compare
from ninefold.sim.levels.cases import case_of
from ninefold.sim.levels.stream_board import _beats, _payloads
from ninefold.sim.own import check
from ninefold.spec.streams import PayloadField, StreamLayout
from tests.sim.test_own import FIXTURES
from tests.sim.test_own_operator import CORE, core

RUNNING = str(FIXTURES / "running.py")

Outputs = dict[str, np.ndarray[Any, Any]]


@pytest.mark.parametrize("name", ["queue", RUNNING, str(FIXTURES / "scaled.py")])
def test_a_core_agrees_on_a_board(name: str, tmp_path: Path) -> None:
    """A core of ours, one in Amaranth with packets, and one in Verilog."""
    # The defaults, as in other tests of these boards.
    case = case_of(name, find_core(name).core.defaults, 20, 3, 2)
    (found,) = compare(case, Setup(tmp_path, "one", "virtual"), ("board",))
    plain = sum(not place.step for place in case.read(case.expected()))
    assert (found.status, found.detail, found.elements) == ("agrees", "virtual", plain)


def test_a_wrong_bitstream_is_seen_on_the_board_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = CORE.replace('IMPLEMENTS = "parity_operator"', "")
    right = core(tmp_path, "right", alone)
    wrong = core(tmp_path, "wrong", alone.replace("payload.x[0]", "payload.x[1]"))
    levels = [word for level in ("cpu", "rtl", "board") for word in ("--level", level)]
    words = ["compare", right, "--seed", "1", *levels, "--json"]
    for url, status, code in (("virtual", "agrees", 0), (f"sim://{wrong}", "differs", 1)):
        result = CliRunner().invoke(cli, [*words, "--board", url])
        assert result.exit_code in (code, 3), result.output
        found = {one["level"]: one for one in map(json.loads, result.stdout.splitlines())}
        assert {level: one["status"] for level, one in found.items()} == {
            "cpu": "not run",
            "rtl": "agrees",
            "board": status,
        }
    divergence = found["board"]["divergence"]
    assert (divergence["operator"], divergence["value"], divergence["step"]) == ("answer", "odd", 0)
    assert {divergence["expected"], divergence["found"]} == {0, 1}
    conform = CliRunner().invoke(cli, ["conform", right, "--board", f"sim://{wrong}", "--device", "cpu"])
    assert (conform.exit_code, "level board: answer, " in conform.output) == (1, True), conform.output
    monkeypatch.setattr(check, "STEPS", {"compare board": check.STEPS["compare board"]})
    for board, status in (("virtual", "passed"), (f"sim://{wrong}", "FAILED")):
        checked = CliRunner().invoke(cli, ["core", "check", right, "--seed", "1", "--board", board, "--json"])
        (one,) = map(json.loads, checked.stdout.splitlines())
        assert (one["step"], one["status"], checked.exit_code) == ("compare board", status, int(status == "FAILED"))


def lost(found: Outputs) -> Outputs:
    return {name: payloads[:-1] for name, payloads in found.items()}


def more(found: Outputs) -> Outputs:
    return {name: np.concatenate([payloads, payloads[-1:]]) for name, payloads in found.items()}


def open_end(found: Outputs) -> Outputs:
    return {
        name: np.concatenate([p[:-1], p[-1:] & np.array([255, 255, 255, 0], np.uint8)]) for name, p in found.items()
    }


@pytest.mark.parametrize(
    ("spoil", "value", "shown"),
    [
        (lost, "sum", None),
        (more, "answer", "the board gave 26 payloads of sums, where 25 are right"),
        (open_end, "last", 0),
    ],
)
def test_payloads_that_a_board_loses_adds_or_changes(
    spoil: Callable[[Outputs], Outputs],
    value: str,
    shown: int | str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exchange = StreamClient.exchange
    monkeypatch.setattr(StreamClient, "exchange", lambda *given: spoil(exchange(*given)))
    (found,) = compare(case_of(RUNNING, {}, 20, 3, 2), Setup(tmp_path, "one", "virtual"), ("board",))
    assert found.divergence is not None
    assert (found.status, found.divergence.value, found.divergence.found) == ("differs", value, shown)


def test_what_no_board_can_hold_has_a_reason(tmp_path: Path) -> None:
    for name, reason in (
        ("frame_receiver", "the virtual board cannot hold it: a register must have another name than the board's "),
        ("uart_transmitter", "the vectors are of a testbench around the core: the core alone has no "),
    ):
        (found,) = compare(case_of(name, {}, 4, 1), Setup(tmp_path, "one", "virtual"), ("board",))
        assert (found.status, found.detail.startswith(reason)) == ("not run", True), found.detail
    result = CliRunner().invoke(cli, ["compare", RUNNING, "--board", "icebraker", "--level", "board"])
    assert (result.exit_code, "the board must be one of virtual, icebreaker" in result.output) == (2, True)
    for command in (["core", "check", RUNNING, "queue"], ["conform"]):
        refused = CliRunner().invoke(cli, [*command, "--board", "virtual"])
        assert refused.exit_code == 2, refused.output


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 16])
def test_beats_and_payloads_of_the_link_are_the_same(bits: int) -> None:
    random = np.random.default_rng(bits)
    for last in (False, True):
        layout = StreamLayout("a", True, (PayloadField("x", bits, False, (), 0),), last)
        words = random.integers(0, 1 << (bits + last), 30)
        beats = np.stack([words >> 8 * i & 255 for i in range(-(-(bits + last) // 8))], axis=1).astype(np.uint8)
        payloads = _payloads(layout, beats)
        assert payloads.shape == (30, layout.payload_bytes)
        assert np.array_equal(_beats(layout, payloads), beats)
        values = sum(payloads[:, i].astype(int) << 8 * i for i in range(layout.data_bytes))
        assert np.array_equal(values, words & (1 << bits) - 1)
        assert not last or np.array_equal(payloads[:, -1], words >> bits)
