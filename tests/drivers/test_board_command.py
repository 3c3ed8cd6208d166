import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ninefold.drivers.bench import measure
from ninefold.drivers.board import Board
from ninefold.drivers.commands.board import BOARD_COMMANDS, board
from ninefold.drivers.transports import usb
from ninefold.spec.errors import DeviceError, InputError, LostDeviceError, UnavailableError
from ninefold.spec.registry import entries
from tests.drivers.board_model import DIGEST, BoardModel, Clock, ModelTransport


def run(*words: str) -> Result:
    return CliRunner().invoke(board, words)


def test_info_changes_nothing_and_says_what_there_is(port: str) -> None:
    done = run("info", f"serial://{port}", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert (said["identity"]["dimensions"], said["identity"]["formats"]) == (32, "packed nits, grid values")
    assert said["identity"]["digest"] == DIGEST.hex()
    assert (said["holds"], said["statistics"]["queries"]) == ("nothing loaded", 0)
    lines = run("info", f"serial://{port}").output.splitlines()
    assert f"{'digest':20} {DIGEST.hex()}" in lines
    assert f"{'temperature_celsius':20} -" in lines


def test_selftest_over_a_pseudo_terminal(port: str) -> None:
    done = run("selftest", f"serial://{port}", "--digest", DIGEST.hex())
    assert done.exit_code == 0, done.output
    assert "the known-answer test passes; " in done.output
    refused = run("selftest", f"serial://{port}", "--digest", "00" * 32)
    assert isinstance(refused.exception, DeviceError)


def test_a_selftest_is_recorded_and_played_back(port: str, tmp_path: Path) -> None:
    known = ("--digest", DIGEST.hex())
    done = run("selftest", f"serial://{port}", *known, "--record", str(tmp_path / "session"))
    assert done.exit_code == 0, done.output
    again = run("selftest", f"replay://{tmp_path / 'session'}", *known)
    assert again.exit_code == 0, again.output
    assert again.output.partition("): ")[2] == done.output.partition("): ")[2]


def test_bench_over_a_pseudo_terminal(port: str) -> None:
    done = run("bench", f"serial://{port}", "--digest", DIGEST.hex(), "--queries", "50", "--k", "4", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert (said["rows"], said["queries"], said["k"], said["scoring_cycles"]) == (64, 50, 4, 64 * 32 // 2)
    assert said["query_bytes"] == 50 * 16
    assert 0.8 < said["payload_share"] == said["query_bytes"] / said["line_bytes"] < 1
    assert isinstance(run("bench", f"serial://{port}", "--queries", "0").exception, InputError)


def test_most_bytes_to_a_board_are_queries() -> None:
    # The limits of icebreaker/small, whose UART is as fast as its engine: what else is sent slows it down.
    model = BoardModel(dimensions=384, window=2, request_max=1020, reply_max=252)
    measured = measure(Board(ModelTransport(model, clock := Clock()), clock=clock), 200, 8)
    assert measured.query_bytes == 200 * 192
    assert measured.payload_share > 0.9
    assert measured.repeats == 0


def test_boards_are_listed_by_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "_comports", list)
    listed = run("list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["sim://virtual/demo", "sim://virtual/tiny"]
    assert listed.stderr.startswith("no board is plugged in: found no serial ports; plug one in (icebreaker, ")
    plugged_in = [usb.Port(usb.BOARDS[1], "/dev/ttyUSB2", "D00123"), usb.Port(usb.BOARDS[0], "/dev/ttyUSB1", "")]
    monkeypatch.setattr(usb, "ports", lambda: plugged_in)
    assert run("list").stdout.splitlines()[:2] == [
        "serial://D00123        ulx3s D00123 at /dev/ttyUSB2",
        "serial:///dev/ttyUSB1  icebreaker (no serial number) at /dev/ttyUSB1",
    ]
    assert json.loads(run("list", "--json").stdout)[0] == {
        "name": "D00123",
        "url": "serial://D00123",
        "description": "ulx3s D00123 at /dev/ttyUSB2",
        "simulated": False,
    }


def test_a_bitstream_that_no_manifest_describes_is_used_only_by_its_digest(port: str) -> None:
    refused = run("selftest", f"serial://{port}")
    assert isinstance(refused.exception, LostDeviceError)
    assert f"the bitstream {DIGEST.hex()}, which no manifest describes" in str(refused.exception)
    assert isinstance(run("selftest", f"serial://{port}", "--digest", "12").exception, InputError)
    assert f"{'bitstream':20} described by no manifest" in run("info", f"serial://{port}").output.splitlines()
    assert run("selftest", f"serial://{port}", "--digest", "any").exit_code == 0


def test_a_board_that_is_not_there_is_named() -> None:
    assert isinstance(run("info", "serial:///dev/nothing").exception, UnavailableError)
    assert isinstance(run("info", "nothing").exception, InputError)


def test_others_may_add_commands() -> None:
    context = click.Context(board)
    assert set(entries(BOARD_COMMANDS)) <= set(board.list_commands(context))
    for name in board.list_commands(context):
        assert board.get_command(context, name) is not None
    assert board.get_command(context, "fly") is None
