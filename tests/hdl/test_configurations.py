"""Configurations in files: what they hold, what is refused, and the commands that take them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ninefold.hdl.bitstream import plan
from ninefold.hdl.configurations import (
    CONFIGURATIONS,
    Configuration,
    configuration,
    described,
    full_name,
    is_configuration,
    named,
)
from ninefold.hdl.miner import MinerParameters
from ninefold.host.cli import cli
from ninefold.sim.board.build import identity
from ninefold.sim.board.catalogue import identities
from ninefold.sim.levels.cases import case_of
from ninefold.spec.errors import InputError

MINER = {"dimensions": 32, "lanes": 8, "depth": 64, "k": 8, "clock_hz": 24_000_000, "reply_bytes": 512}
PLAIN: dict[str, Any] = {"name": "icebreaker/mine", "baud": 6_000_000, "miner": MINER}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(PLAIN))
    return path


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


@given(
    st.sampled_from(sorted(CONFIGURATIONS)),
    st.sampled_from(["tanh", "linear"]),
    st.integers(1, 65536),
    st.sampled_from([None, 4, 40, 65535]),
)
def test_a_file_holds_all_of_a_configuration(name: str, mode: Any, depth: int, divisor: int | None) -> None:
    miner = {**asdict(CONFIGURATIONS[name].miner), "mode": mode, "depth": depth}
    # Whatever the depth, a mask of all rows fits.
    miner |= {"clock_hz": 65535 * 40 * 12, "buffer_bytes": 32768}
    kept = Configuration(MinerParameters(**miner), divisor and miner["clock_hz"] // divisor)
    text = described("a_board/config_1", kept)
    # A path is all that the function takes, and files are slow to make a hundred times.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", lambda *_, **__: text)
        assert named("x.json") == ("a_board/config_1", kept)


def test_what_is_left_out_is_as_in_the_parameters(mine: Path) -> None:
    assert configuration(str(mine)) == Configuration(MinerParameters(**MINER), 6_000_000)
    assert is_configuration(str(mine))
    assert not is_configuration("topk")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], "the whole must be an object, not []"),
        ({"bauds": 1}, "a key of the whole must be one of name, baud, miner, not 'bauds'"),
        ({"name": "mine"}, "name must be BOARD/CONFIG, of letters, digits and underscores, not 'mine'"),
        ({"name": "a/b-c"}, "name must be BOARD/CONFIG, of letters, digits and underscores, not 'a/b-c'"),
        ({"name": "ulx3s/full"}, "name must not be one of the catalogue, as ulx3s/full is"),
        ({"baud": "fast"}, "baud must be an integer from 1 to 4294967295, not 'fast'"),
        ({"baud": 7}, "baud must divide the clock of 24000000 Hz, which 7 does not"),
        ({"baud": 12_000_000}, "clock_hz / baud must be an integer from 4 to 65535, not 2"),
        ({"miner": {"k": 1}}, "miner must have dimensions, lanes, depth, clock_hz"),
        (
            {"miner": {**MINER, "digest": ""}},
            "a key of miner must be one of dimensions, lanes, depth, k, clock_hz, mode",
        ),
        ({"miner": {**MINER, "lanes": 5}}, "lanes must be even and divide dimensions (32), not 5"),
        ({"miner": {**MINER, "depth": 64.0}}, "depth must be an integer from 1 to 65536, not 64.0"),
    ],
)
def test_what_is_no_configuration_is_refused(mine: Path, change: Any, message: str) -> None:
    mine.write_text(json.dumps({**PLAIN, **change} if isinstance(change, dict) else change))
    with pytest.raises(InputError) as refusal:
        configuration(str(mine))
    assert str(refusal.value).startswith(f"{mine} is not a configuration: {message}")


def test_other_files_are_refused(mine: Path) -> None:
    mine.write_text("{")
    with pytest.raises(InputError, match=r"mine\.json is not a configuration: Expecting"):
        configuration(str(mine))
    mine.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"mine\.json is not a configuration: 'utf-8'"):
        configuration(str(mine))
    mine.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"mine\.json is not a configuration: maximum recursion depth"):
        configuration(str(mine))
    mine.unlink()
    with pytest.raises(FileNotFoundError):
        configuration(str(mine))


def test_it_is_elaborated_estimated_and_planned(mine: Path, tmp_path: Path) -> None:
    run("elaborate", mine, "-o", tmp_path / "mine.il")
    assert "module \\icebreaker_mine\n" in (tmp_path / "mine.il").read_text()
    assert json.loads(run("estimate", mine, "--json"))["configuration"] == "icebreaker/mine"
    planned = plan(str(mine))
    assert (planned.name, planned.board.name) == ("icebreaker/mine", "icebreaker")
    assert planned.configuration == configuration(str(mine))
    result = CliRunner().invoke(cli, ["elaborate", str(mine), "--lanes", "4"])
    assert "does not take --lanes: a configuration has no parameters" in result.output


def test_one_for_no_board_is_not_planned(mine: Path) -> None:
    mine.write_text(json.dumps({**PLAIN, "name": "virtual/mine"}))
    with pytest.raises(
        InputError, match=r"which is for virtual: boards are icebreaker, orangecrab, tangnano9k, ulx3s$"
    ):
        plan(str(mine))


def test_it_is_compared_and_its_virtual_board_is_known(mine: Path) -> None:
    assert case_of(str(mine), {}, 2, 0).vectors == 2
    digest = identity(str(mine)).hex()
    assert identities()[digest] == str(mine)
    mine.write_text(json.dumps({**PLAIN, "miner": {**MINER, "k": 4}}))
    assert identity(str(mine)).hex() != digest


def test_a_board_stands_for_its_only_configuration() -> None:
    assert named("orangecrab") == ("orangecrab/mid", CONFIGURATIONS["orangecrab/mid"])
    assert is_configuration("orangecrab")
    assert full_name("orangecrab") == "orangecrab/mid"
    assert full_name("topk") == "topk"
    with pytest.raises(InputError) as refusal:
        named("virtual")
    listed = "virtual/tiny, virtual/demo, virtual/demo_signs, virtual/signs"
    assert str(refusal.value) == f"virtual has several configurations, name one: {listed}"


@pytest.mark.parametrize(
    "words",
    [["estimate"], ["build"], ["elaborate"], ["board", "serve"], ["compare"], ["elaborate", "--format", "rtlil"]],
)
def test_each_command_lists_several_configurations(words: list[str]) -> None:
    result = CliRunner().invoke(cli, [*words, "virtual"])
    said = result.stderr or str(result.exception)
    assert (
        "virtual has several configurations, name one: virtual/tiny, virtual/demo, virtual/demo_signs, virtual/signs"
        in said
    )


def test_estimate_takes_a_board() -> None:
    results = [CliRunner().invoke(cli, ["estimate", name, "--json"]) for name in ("orangecrab", "orangecrab/mid")]
    assert results[0].stdout == results[1].stdout
    assert json.loads(results[0].stdout)["configuration"] == "orangecrab/mid"
