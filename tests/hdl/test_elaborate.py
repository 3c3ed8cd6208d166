"""Elaboration and its command."""

import errno
import hashlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ninefold.hdl import yosys
from ninefold.hdl.catalogue import core_names, find_core, make_core, own_names, parameters_of
from ninefold.hdl.commands.elaborate import elaborate
from ninefold.hdl.elaborate import digest, rtlil, verilog
from ninefold.host.cli import cli
from ninefold.spec.errors import FullDiskError, InputError, ToolError

# A component that is made in order to be refused is never elaborated.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

SMALL: dict[str, Mapping[str, Any]] = {name: find_core(name).core.mutated for name in own_names()}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(elaborate, arguments)


@pytest.mark.parametrize("name", own_names())
def test_reproducible_and_free_of_paths(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for convert in (rtlil, verilog):
        text = convert(make_core(name, **SMALL[name]))
        monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
        assert text == convert(make_core(name, **SMALL[name]))
        assert "src =" not in text
        assert "\\src" not in text
        assert ".py" not in text
        assert str(Path(__file__).parent.parent) not in text


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("quantiser", {"mode": "tanh", "lanes": 1}),
        *(("similarity", {"dimensions": 3, "lanes": lanes, "depth": depth}) for lanes in (1, 3) for depth in (1, 2)),
        *(("topk", {"k": k, "score_width": 1, "id_width": 1}) for k in (1, 2)),
        ("pipeline", {"mode": "linear", "dimensions": 1, "lanes": 1, "depth": 1, "k": 1}),
        ("pipeline", {"mode": "linear", "dimensions": 3, "lanes": 3, "depth": 16, "k": 5}),
    ],
)
def test_the_smallest_cores_declare_no_signal_of_no_bits(name: str, parameters: dict[str, Any]) -> None:
    assert "[-1:0]" not in verilog(make_core(name, **parameters))


@pytest.mark.parametrize("name", own_names())
def test_ports(name: str) -> None:
    core = make_core(name, **SMALL[name])
    text = verilog(core, "dut")
    top = re.search(r"module dut\((.*?)\)", text, re.DOTALL)
    assert top is not None
    wanted = {"clk", "rst"}
    for member, what in core.signature.members.items():
        wanted |= {member} if what.is_port else {f"{member}__{part}" for part in ("payload", "valid", "ready")}
    # A port that is a constant (the ready of an always ready stream) is no port.
    assert wanted - {"threshold__ready"} == {port.strip() for port in top[1].split(",")} - {"threshold__ready"}


def test_first_field_is_in_the_least_significant_bits() -> None:
    core = make_core("topk", k=2, score_width=6, id_width=3)
    assert "input [9:0] scores__payload" in verilog(core)
    payload = core.scores.payload  # type: ignore[attr-defined]
    assert {name: field.offset for name, field in payload.shape()} == {"score": 0, "id": 6, "last": 9}


def test_digest_is_of_the_rtlil_and_tells_parameters_apart() -> None:
    text = rtlil(make_core("topk", **SMALL["topk"]))
    assert digest(make_core("topk", **SMALL["topk"])) == hashlib.sha256(text.encode()).hexdigest()
    assert digest(make_core("topk", **{**SMALL["topk"], "k": 2})) != digest(make_core("topk", **SMALL["topk"]))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        (
            "sorter",
            {},
            f"core must be one of {', '.join(core_names())}, or a path, not 'sorter'",
        ),
        ("frame_sender", {"k": 2}, "frame_sender does not take k; its parameters are groups"),
        ("cobs_encoder", {"k": 2}, "cobs_encoder does not take k; its parameters are group, groups"),
        (
            "topk",
            {"k": 2, "lanes": 4, "width": 1},
            "topk does not take lanes, width; its parameters are k, score_width, id_width, signed",
        ),
        ("topk", {"id_width": 4}, "topk needs k, score_width; its parameters are k, score_width, id_width, signed"),
        ("topk", {"k": 300, "score_width": 4, "id_width": 4}, "k must be an integer from 1 to 256, not 300"),
    ],
)
def test_refusals_of_make_core(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        make_core(name, **parameters)
    assert str(refusal.value) == message


@pytest.mark.parametrize("name", own_names())
def test_defaults_name_every_parameter(name: str) -> None:
    assert list(find_core(name).core.defaults) == list(parameters_of(name))
    make_core(name, **find_core(name).core.defaults)


def test_command_writes_the_format_of_the_suffix(tmp_path: Path) -> None:
    wanted = {"score_width": 16, "id_width": 10, "k": 3}
    for suffix, convert in ((".v", verilog), (".il", rtlil)):
        output = tmp_path / f"topk{suffix}"
        result = invoke("topk", "--k", "3", "-o", str(output))
        assert (result.exit_code, result.output) == (0, "")
        assert output.read_text() == convert(make_core("topk", **wanted), "topk")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["topk.il", "topk.v"]


@pytest.mark.parametrize(
    ("says", "error", "message"),
    [
        ("ERROR: no such pass", ToolError, "failed with exit code 1:\nERROR: no such pass"),
        ("cannot write: No space left on device", FullDiskError, "No space left on device"),
    ],
)
def test_a_failing_yosys(
    says: str, error: type[ToolError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(yosys, "command", lambda: [sys.executable, "-c", f"raise SystemExit({says!r})"])
    result = invoke("topk", "--k", "1", "-o", str(tmp_path / "topk.v"))
    assert type(result.exception) is error
    assert str(result.exception).endswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_full_disk_is_named_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", replace)
    result = CliRunner().invoke(cli, ["elaborate", "topk", "--k", "1", "-o", str(tmp_path / "topk.il")])
    assert result.exit_code == 2
    assert result.output == f"error: {tmp_path / 'topk.il'}: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_made_is_named() -> None:
    result = CliRunner().invoke(cli, ["elaborate", "topk", "--k", "1", "-o", "/proc/x.il"])
    assert (result.exit_code, result.output) == (2, "error: /proc/x.il: No such file or directory\n")


def test_command_format_and_name(tmp_path: Path) -> None:
    output = tmp_path / "miner.txt"
    options = [
        "--k",
        "2",
        "--score-width",
        "4",
        "--id-width",
        "2",
        "--no-signed",
        "--format",
        "rtlil",
        "--name",
        "miner",
    ]
    assert invoke("topk", *options, "-o", str(output)).exit_code == 0
    assert output.read_text() == rtlil(make_core("topk", k=2, score_width=4, id_width=2, signed=False), "miner")


def test_command_prints_verilog_without_output() -> None:
    result = invoke("quantiser", "--mode", "linear", "--lanes", "1")
    assert result.exit_code == 0
    assert result.output == verilog(make_core("quantiser", mode="linear", lanes=1), "quantiser")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["topk", "--lanes", "4", "--depth", "2"],
            "topk does not take --lanes; its parameters are --k, --score-width, --id-width, --signed",
        ),
        (
            ["queue", "--formt", "rtlil"],
            "queue does not take --formt; its parameters are --width, --depth; did you mean --format?",
        ),
        (["topk", "--k", "0"], "k must be an integer from 1 to 256, not 0"),
        (["topk", "-o", "x.txt"], "the output must end in .v or .il, or --format must be given, not 'x.txt'"),
        (["topk", "-o", "none/x.v"], "the output must be in a folder that exists, not in 'none'"),
        (
            ["topk", "-o", "x.il", "--format", "verilog"],
            "the suffix of x.il means RTLIL, but --format is Verilog: make them agree",
        ),
    ],
)
def test_command_refusals_leave_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == message
    assert list(tmp_path.iterdir()) == []


def test_command_refuses_an_unknown_core_and_a_word_for_a_number() -> None:
    result = invoke("sorter")
    assert result.exit_code == 2
    assert "Invalid value for 'CORE': 'sorter' is not one of 'cobs_decoder', 'cobs_encoder'," in result.output
    result = invoke("topk", "--k", "many")
    assert result.exit_code == 2
    assert "Invalid value for '--k': 'many' is not a valid integer." in result.output


def test_help_of_a_core_lists_its_own_parameters() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert "CORE --help` lists the core's parameters" in text
    assert not re.search("--(k|lanes|mode) ", text)
    topk, pipeline, queue = (" ".join(invoke(core, "--help").output.split()) for core in ("topk", "pipeline", "queue"))
    assert (
        "--k INTEGER Results per batch, 1 to 256. A batch of fewer scores has as many results as scores. [default: 8]"
        in topk
    )
    assert "--k INTEGER Results per query, 1 to 256. [default: 16]" in pipeline
    assert "--width INTEGER Bits of a word. [default: 8]" in queue
    assert "--mode [tanh|linear]" in pipeline
    assert "--mode" not in topk


def test_options_of_the_command_may_stand_before_the_core(tmp_path: Path) -> None:
    output = tmp_path / "x.il"
    assert invoke("-o", str(output), "--name=y", "topk", "--k", "2").exit_code == 0
    assert "module \\y\n" in output.read_text()


def test_command_writes_a_configuration(tmp_path: Path) -> None:
    texts = []
    for output in (tmp_path / "a.il", tmp_path / "b.il"):
        assert invoke("icebreaker/small", "-o", str(output)).output == ""
        texts.append(output.read_text())
    assert texts[0] == texts[1]
    assert "module \\icebreaker_small\n" in texts[0]
    assert "\\src" not in texts[0]
    assert str(Path(__file__).parent.parent) not in texts[0]


def test_command_refuses_parameters_of_a_configuration() -> None:
    result = invoke("virtual/tiny", "--lanes", "4")
    assert str(result.exception) == "virtual/tiny does not take --lanes: a configuration has no parameters"


@pytest.mark.parametrize("name", ["", "1 bad", "a-b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    outcome = invoke("topk", "--k", "2", "--name", name)
    assert isinstance(outcome.exception, InputError)
    assert str(outcome.exception) == f"name must be letters, digits and underscores, not a digit first, not {name!r}"


def test_verilog_names_the_states_of_state_machines() -> None:
    parameters = SMALL["uart_receiver"]
    assert re.search(r'\(\* enum_value_0+ = "\w+" \*\)\n', verilog(make_core("uart_receiver", **parameters)))
    # Bitstreams are made from the RTLIL, and named by it.
    assert "enum_value" not in rtlil(make_core("uart_receiver", **parameters))
