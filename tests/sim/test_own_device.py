"""A user's core from Python: whole arrays in and out of its verilated model, and all checks of it in one table."""

from __future__ import annotations

import asyncio
import binascii
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.host import open_core
from ninefold.host.cli import cli
from ninefold.host.own import OpenCore
from ninefold.sim.own import check
from ninefold.spec.errors import DeviceError, InputError, UnavailableError
from tests.sim.test_own import FIXTURES, changed

DOT8 = FIXTURES / "dot8.py"


def test_whole_arrays_go_in_and_out() -> None:
    random = np.random.default_rng(5)
    x, w = (random.integers(-128, 128, (20_000, 1), np.int8) for _ in range(2))
    with open_core(DOT8, LANES=1) as core:
        assert core.inputs == {"x": "x: int8 (n, 1)", "w": "w: int8 (n, 1)"}
        assert core.outputs == {"sum": "sum: int32 of 19 bits (n,)"}
        found = core(x=x, w=w)["sum"]
        assert found.dtype == np.int32
        assert np.array_equal(found, (x.astype(int) * w).sum(axis=1))
        assert core(x=x[:0], w=w[:0])["sum"].shape == (0,)
        for given, said in (
            ({"x": x}, "dot8 takes x, w, not x"),
            ({"x": x, "w": w[1:]}, r"w of the input a must have shape \(20000, 1\)"),
            ({"x": x, "w": w.astype(int) + 300}, "w of the input a must be from -128 to 127, not"),
        ):
            with pytest.raises(InputError, match=said):
                core(**given)


def test_a_core_without_a_register_has_a_clock_too() -> None:
    with open_core(FIXTURES / "adder.py") as adder:
        assert adder(a=[1, 2, 255], b=[3, 4, 255])["sum"].tolist() == [4, 6, 510]


def test_calls_can_be_submitted_and_awaited() -> None:
    parts = np.arange(40, dtype=np.uint8).reshape(10, 4)

    async def gathered(crc: OpenCore) -> list[int]:
        answers = await asyncio.gather(*(crc.submit(data=part) for part in parts))
        return [int(answer["crc"][0]) for answer in answers]

    expected = [binascii.crc_hqx(part.tobytes(), 0) for part in parts]
    with open_core(FIXTURES / "crc16.py") as crc:
        assert asyncio.run(gathered(crc)) == expected
        # A call comes after those that were submitted before, and an error belongs to its own call.
        futures = [crc.submit(data=part) for part in (*parts, [256])]
        assert crc(data=parts[0])["crc"].tolist() == expected[:1]
        assert all(future.done() for future in futures)
        assert [future.result()["crc"][0] for future in futures[:-1]] == expected
        assert isinstance(futures[-1].exception(), InputError)
        begun, ended = threading.Event(), threading.Event()
        crc._queue(lambda: (begun.set(), ended.wait(60))[0])
        begun.wait(60)
        waiting, cancelled = crc.submit(data=parts[1]), crc.submit(data=parts[2])
        assert cancelled.cancel()
        ended.set()
        assert waiting.result()["crc"].tolist() == expected[1:2]
    with pytest.raises(DeviceError, match="the core is closed"):
        crc.submit(data=parts[0])


def test_packets_go_in_and_out() -> None:
    with open_core(FIXTURES / "crc16.py") as crc:
        # The published check value of CRC-16/XMODEM.
        assert crc(data=np.frombuffer(b"123456789", np.uint8))["crc"].tolist() == [0x31C3]
        assert len(crc(data=np.zeros(6, int), last=[0, 1, 0, 1, 1, 1])["crc"]) == 4
        with pytest.raises(InputError, match=r"last must have shape \(6,\), not \(2,\)"):
            crc(data=np.zeros(6, int), last=[0, 1])
    with open_core(FIXTURES / "axis_fifo.py", DEPTH_LOG2=2) as fifo:
        answer = fifo(data=np.arange(100), last=np.arange(100) % 7 == 6)
        assert np.array_equal(answer["data"], np.arange(100))
        assert np.flatnonzero(answer["last"]).tolist() == list(range(6, 100, 7))


def test_a_core_that_never_answers_is_an_error(tmp_path: Path) -> None:
    core = changed(tmp_path, ("y_valid <= a_valid", "y_valid <= 0"))
    with (
        open_core(core, LANES=1) as dead,
        pytest.raises(DeviceError, match=r"the core hung: .* beats: a 3 of 3, y 0 of 3"),
    ):
        dead(x=np.zeros((3, 1), int), w=np.zeros((3, 1), int))


def test_a_core_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    core = changed(tmp_path, ("assign a_ready = !y_valid || y_ready", "assign a_ready = 0"))
    text = Path(core).read_text().partition("def golden")[0].replace(", latency=1", "")
    Path(core).write_text(text)
    with (
        open_core(core, LANES=1) as dead,
        pytest.raises(DeviceError, match="did not take 3 of 3 payloads of a for 4000"),
    ):
        dead(x=np.zeros((3, 1), int), w=np.zeros((3, 1), int))


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="device must be one of board, rtl, not 'gpu'"):
        open_core(DOT8, device="gpu")
    with pytest.raises(InputError, match="device must be rtl, which has no instances, not 'rtl:1'"):
        open_core(DOT8, device="rtl:1")


def test_info_lists_ports_streams_and_parts() -> None:
    said = CliRunner().invoke(cli, ["core", "info", str(FIXTURES / "axis_fifo.py")]).stdout.splitlines()
    assert said[:4] == [
        "axis_fifo: Verilog module axis_fifo",
        "parameters: DEPTH_LOG2=3",
        "clock: input aclk",
        "reset: input aresetn, active low",
    ]
    assert "input s_axis: data: uint8 (n,), packets" in said
    assert "unused outputs: output m_axis_tkeep" in said
    assert "proof: from streams and golden" in said
    queue = CliRunner().invoke(cli, ["core", "info", "queue"]).stdout
    assert "proof: its own" in queue
    running = CliRunner().invoke(cli, ["core", "info", str(FIXTURES / "running.py")]).stdout
    assert "parameters: none" in running, "Amaranth's own is none of the core's"
    scaled = CliRunner().invoke(cli, ["core", "info", str(FIXTURES / "scaled.py")]).stdout.splitlines()
    assert "control register gain: 4 bits, 3 after a reset" in scaled
    assert "status register overflows: 16 bits" in scaled


def run_check(monkeypatch: pytest.MonkeyPatch, folder: Path, core: str, *steps: str) -> tuple[int, dict[str, Any]]:
    """Run these steps of a check and return the exit code and the outcomes."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(check, "STEPS", {name: check.STEPS[name] for name in steps})
    result = CliRunner().invoke(cli, ["core", "check", core, "--seed", "1", "--json"])
    return result.exit_code, {one["step"]: one for one in map(json.loads, result.stdout.splitlines())}


def test_all_checks_of_a_right_core_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_MUTANTS", 4)
    # The board is built by another test, nextpnr reads ECP5's large database, and Gowin's tools are optional.
    steps = [name for name in check.STEPS if name not in ("compare board", "synth ecp5", "synth gowin")]
    code, found = run_check(monkeypatch, tmp_path, str(FIXTURES / "axis_fifo.py"), *steps)
    assert {name: one["status"] for name, one in found.items()} == dict.fromkeys(steps, "passed")
    assert code == 0
    assert " LUT4, " in found["synth ice40"]["detail"]
    assert list(tmp_path.iterdir()) == []


def test_a_check_says_at_its_start_what_runs_and_which_tools_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> None:
        if name == "synth gowin":
            raise UnavailableError("nextpnr is not installed", 'pip install "ninefold[gowin]"')

    monkeypatch.setattr(check, "_find_tools", find)
    monkeypatch.setattr(check, "STEPS", {name: check.STEPS[name] for name in ("elaborate", "synth gowin")})
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["core", "check", str(FIXTURES / "crc16.py"), "--seed", "1", "--json"])
    said = result.stderr.splitlines()
    assert said[0] == "steps: elaborate"
    assert said[1].startswith("not run: synth gowin: nextpnr is not installed")
    monkeypatch.undo()
    assert {"sim", "prove", "synth ice40"}.isdisjoint(check.unavailable())


def test_a_check_explains_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = changed(tmp_path, ("if (a_ready) y_sum", "y_sum"))
    code, found = run_check(monkeypatch, tmp_path, core, "elaborate", "compare rtl", "prove")
    assert code == 1
    assert {name: one["status"] for name, one in found.items()} == {
        "elaborate": "passed",
        "compare rtl": "FAILED",
        "prove": "FAILED",
    }
    assert "contract: " in found["prove"]["lines"][0]
    assert " is right" in found["compare rtl"]["lines"][0]
    assert (tmp_path / found["compare rtl"]["lines"][1].removeprefix("waveform: ")).exists()


def test_a_check_of_a_core_without_golden_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = changed(tmp_path)
    Path(core).write_text(Path(core).read_text().partition("def golden")[0])
    code, found = run_check(monkeypatch, tmp_path, core, "elaborate", "sim", "prove", "mutate")
    assert code == 0
    assert {name: one["status"] for name, one in found.items()} == {
        "elaborate": "passed",
        "sim": "not run",
        "prove": "not run",
        "mutate": "not run",
    }
    assert "define the function golden in" in found["sim"]["detail"]


def test_a_check_of_several_cores_is_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "STEPS", {name: check.STEPS[name] for name in ("elaborate", "compare rtl")})
    wrong = changed(tmp_path, golden=(".sum(axis=1)", ".sum(axis=1) + 1"))
    cores = [str(FIXTURES / "crc16.py"), wrong]
    table = CliRunner().invoke(cli, ["core", "check", *cores, "--seed", "1", "--markdown"])
    assert table.exit_code == 1
    head, rule, *rows = [line for line in table.stdout.splitlines() if line.startswith("|")]
    assert head == "| core | step | seconds | result | detail |"
    assert rule == "| --- | --- | ---: | --- | --- |"
    name = Path(wrong).stem
    assert [re.sub(r"\d+\.\d", "S", row.rpartition(" | ")[0]) for row in rows] == [
        "| crc16 | elaborate | S | passed",
        "| crc16 | compare rtl | S | passed",
        f"| {name} | elaborate | S | passed",
        f"| {name} | compare rtl | S | FAILED",
    ]
    assert re.search(rf"^{name}, compare rtl: y, payload 0: sum is .* is right$", table.stdout, re.M)
    unknown = CliRunner().invoke(cli, ["core", "check", cores[0], "none.py"])
    assert (unknown.exit_code, "there is no core none.py" in unknown.output) == (2, True)


def test_conform_runs_the_free_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["conform", str(FIXTURES / "crc16.py")])
    assert result.exit_code == 0, result.output
    assert "crc16  testbench: 4 tests, none wrong" in result.stdout
    assert "crc16  proof: 2 tasks, none wrong" in result.stdout
