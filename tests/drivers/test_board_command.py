import json
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ninefold.drivers import boards
from ninefold.drivers.bench import measure
from ninefold.drivers.board import Board
from ninefold.drivers.boards import url_of
from ninefold.drivers.commands.board import BOARD_COMMANDS, board
from ninefold.drivers.transports import usb
from ninefold.sim.board import catalogue
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


def test_commands_on_a_board_that_scans_signs(signs_port: str) -> None:
    url, known = f"serial://{signs_port}", ("--digest", "any")
    assert "the known-answer test passes; " in run("selftest", url, *known).output
    lines = run("info", url).output.splitlines()
    assert {f"{'design':20} signs", f"{'keep':20} 40", f"{'k':20} 0"} <= set(lines)
    said = json.loads(run("bench", url, *known, "--queries", "5", "--json").output)
    assert (said["k"], said["query_bytes"]) == (10, 5 * 16)
    assert json.loads(run("bench", url, *known, "--queries", "2", "--k", "40", "--json").output)["k"] == 40
    refused = run("bench", url, *known, "--k", "41")
    assert str(refused.exception) == "keep must be 1 to 40 on this board, not 41"


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
    assert (said["clock_hz"], said["cycles_a_query"], said["queries_a_second"]) == (1_000_000, 0, 0)
    assert isinstance(run("bench", f"serial://{port}", "--queries", "0").exception, InputError)
    shown = run("bench", f"serial://{port}", "--digest", "any", "--queries", "5", "--k", "4").stdout
    assert (
        f"computed for the board's nominal clock of {said['clock_hz'] / 1e6:g} MHz; by this computer's clock" in shown
    )


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
    assert [line.split()[0] for line in listed.stdout.splitlines()][:5] == [
        "sim://virtual/demo",
        "sim://virtual/tiny",
        "sim://virtual/demo_signs",
        "sim://virtual/signs",
        "sim://icebreaker/small",
    ]
    assert listed.stderr.startswith("no board is plugged in: found no serial ports; plug one in (icebreaker, ")
    plugged_in = [usb.Port(usb.BOARDS[1], "/dev/ttyUSB2", "D00123"), usb.Port(usb.BOARDS[0], "/dev/ttyUSB1", "")]
    monkeypatch.setattr(usb, "ports", lambda: plugged_in)
    assert run("list").stdout.splitlines()[:2] == [
        "serial://D00123           ulx3s D00123 at /dev/ttyUSB2",
        "serial:///dev/ttyUSB1     icebreaker (no serial number) at /dev/ttyUSB1",
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
    assert "or name that digest, by --digest or, of a device, as board:NAME#DIGEST" in str(refused.exception)
    assert isinstance(run("selftest", f"serial://{port}", "--digest", "12").exception, InputError)
    assert f"{'bitstream':20} described by no manifest" in run("info", f"serial://{port}").output.splitlines()
    assert run("selftest", f"serial://{port}", "--digest", "any").exit_code == 0


def test_a_board_that_is_not_there_is_named() -> None:
    assert isinstance(run("info", "serial:///dev/nothing").exception, UnavailableError)
    assert isinstance(run("info", "nothing").exception, UnavailableError)
    assert isinstance(run("info", "no/thing").exception, InputError)


@pytest.mark.parametrize(
    "name", ["virtual/tiny", "sim://virtual/tiny", "board:virtual/tiny", "board:sim://virtual/tiny"]
)
def test_a_board_goes_by_all_its_names(name: str) -> None:
    assert url_of(name) == "sim://virtual/tiny"
    assert url_of(f"{name}?flip=0.5") == "sim://virtual/tiny?flip=0.5"


def test_other_names_of_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "ports", lambda: [usb.Port(usb.BOARDS[1], "/dev/ttyUSB2", "D00123")])
    assert url_of("D00123") == url_of("usb") == "serial://D00123"
    assert url_of("virtual") == "sim://virtual/demo"
    assert url_of("board:/dev/ttyUSB1") == "serial:///dev/ttyUSB1"
    assert url_of("ulx3s") == "serial://ulx3s"
    assert url_of("/there/mine.json?flip=0.5") == "sim:///there/mine.json?flip=0.5"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("tiny", "; did you mean 'virtual/tiny'?"), ("board:virtual/tinny", "; did you mean 'virtual/tiny'?"), ("", "")],
)
def test_a_name_that_is_none_is_refused_with_those_there_are(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usb, "_comports", list)
    refused = run("info", name)
    assert isinstance(refused.exception, InputError)
    assert str(refused.exception).startswith("a board must be a URL or a name from `ninefold board list` (virtual/d")
    assert str(refused.exception).endswith(f"), not {name!r}{hint}")


def test_usb_that_was_not_looked_at_is_no_lack_of_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial.tools.list_ports", None)
    assert boards.why_simulated(boards.places()) == "pyserial is not installed"


def test_where_no_board_is_named_the_one_that_is_taken_is_said(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "_comports", list)
    (demo,) = [place for place in catalogue.places() if place.name == "virtual/demo"]
    assert boards.only_board() == demo
    # What is simulated otherwise takes longer to compile.
    monkeypatch.setattr(boards, "only_board", lambda: replace(demo, url="sim://virtual/tiny"))
    done = run("info")
    assert done.exit_code == 0, done.output
    assert done.stderr == "no board is plugged in: found no serial ports; using sim://virtual/tiny\n"
    monkeypatch.undo()
    plugged_in = [usb.Port(usb.BOARDS[0], port, "")]
    monkeypatch.setattr(usb, "ports", lambda: plugged_in)
    done = run("info")
    assert done.exit_code == 0, done.output
    assert done.stderr == f"no board is named; using serial://{port}\n"
    plugged_in.append(usb.Port(usb.BOARDS[1], "/dev/ttyUSB9", "D00123"))
    refused = run("selftest")
    assert isinstance(refused.exception, InputError)
    assert str(refused.exception) == (
        f"more than one board is plugged in: name one of serial://{port}, serial://D00123"
    )


def test_others_may_add_commands() -> None:
    context = click.Context(board)
    assert set(entries(BOARD_COMMANDS)) <= set(board.list_commands(context))
    for name in board.list_commands(context):
        assert board.get_command(context, name) is not None
    assert board.get_command(context, "fly") is None
