"""Driver of boards of design stream, on virtual boards: whole arrays in and out, whatever the link loses."""

from __future__ import annotations

import asyncio
import binascii
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ninefold.drivers.stream_core import BoardCore, interface_of, open_board_core
from ninefold.drivers.streams import StreamClient
from ninefold.host import open_core
from ninefold.host.cli import cli
from ninefold.host.own import OpenCore
from ninefold.sim.own.known import yields
from ninefold.spec.errors import DamagedDataError, DeviceError, InputError, LostDeviceError, UnsupportedError
from ninefold.spec.manifest import Manifest, manifests
from ninefold.spec.streams import layout_check

OWN = Path(__file__).parents[1] / "fixtures" / "own"
DOT8, RUNNING, SCALED, CRC16 = (str(OWN / name) for name in ("dot8.py", "running.py", "scaled.py", "crc16.py"))


def opened(core: str, device: str = "board:virtual", **parameters: int | str) -> BoardCore:
    return open_board_core(core, device, parameters)


def vectors(count: int, seed: int = 0, lanes: int = 8) -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    return {name: random.integers(-128, 128, (count, lanes), np.int8) for name in ("x", "w")}


def dots(sent: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return (sent["x"].astype(np.int32) * sent["w"]).sum(axis=1)


def test_whole_arrays() -> None:
    with opened(DOT8) as core:
        assert core.inputs == {"x": "x: int8 (n, 8)", "w": "w: int8 (n, 8)"}
        assert core.outputs == {"sum": "sum: int32 of 19 bits (n,)"}
        for count in (0, 1, 7, 2000):
            sent = vectors(count, count)
            assert np.array_equal(core(**sent)["sum"], dots(sent))
        happened = core.client.link_statistics
        assert happened.damaged == 0
        assert happened.repeats == 0 or happened.timeouts > 0, "a machine that stalls may ask again, and no other"
        # No request carries a single payload: each takes as many as it holds.
        assert happened.bytes_out < 1.5 * 16 * 2008 + 40 * 100


def test_parameters() -> None:
    with opened(DOT8, LANES=2) as core:
        sent = vectors(50, lanes=2)
        assert np.array_equal(core(**sent)["sum"], dots(sent))


@pytest.mark.parametrize("fault", ["flip=3e-4", "drop=3e-4", "repeat=3e-4", "cut=2e-4", "flip=1e-4&drop=1e-4&seed=7"])
def test_faults_of_the_link_change_no_payload(fault: str) -> None:
    """Requests and replies are lost, and each payload still passes once and in order."""
    with opened(RUNNING, f"board:virtual?{fault}") as core:
        random = np.random.default_rng(3)
        value = random.integers(-2048, 2048, 6000)
        last = random.random(6000) < 0.1
        last[-1] = True
        found = core(value=value, last=last)
        ends = np.flatnonzero(last) + 1
        right = np.concatenate([(part + 2).cumsum() for part in np.split(value, ends[:-1])])
        assert np.array_equal(found["last"], last)
        assert np.array_equal(found["sum"], right)
        assert core.read("packets") == len(ends)
        assert core.client.link_statistics.repeats > 0


def test_registers_of_the_core() -> None:
    with opened(RUNNING) as core:
        assert core.read("offset") == 2
        core.write("offset", 200)
        assert core(value=[1, 2, 3])["sum"].tolist() == [201, 403, 606]
        assert (core.read("packets"), core.read("turn") > 0) == (1, True)
        core.reset()
        assert (core.read("offset"), core.read("packets")) == (2, 0)
        for name, value, message in (
            ("offset", 256, "offset must be 0 to 255, not 256"),
            ("packets", 1, "a control register must be one of offset, not 'packets'"),
            ("epoch", 1, "a control register must be one of offset, not 'epoch'"),
        ):
            with pytest.raises(InputError) as error:
                core.write(name, value)
            assert str(error.value) == message
        with pytest.raises(InputError, match=r"a register must be one of magic, .*offset, packets, not 'gain'"):
            core.read("gain")


def test_calls_on_a_board_are_submitted_awaited_and_in_order() -> None:
    async def gathered(core: OpenCore) -> list[list[int]]:
        return [
            answer["sum"].tolist() for answer in await asyncio.gather(core.submit(value=[1]), core.submit(value=[2, 3]))
        ]

    with open_core(RUNNING, device="board:virtual") as core:
        assert asyncio.run(gathered(core)) == [[3], [4, 9]]
        core.write("offset", 0)
        later = core.submit(value=[5])
        assert core.read("packets") == 3, "a register is read after the calls before it"
        assert later.result()["sum"].tolist() == [5]
        core.reset()
        assert (core.read("offset"), core(value=[5])["sum"].tolist()) == (2, [7])
    with (
        open_core(RUNNING) as core,
        pytest.raises(UnsupportedError, match="rtl has no register packets: open running on"),
    ):
        core.read("packets")


def test_a_reset_of_the_board_is_noticed_and_the_next_call_works() -> None:
    with opened(RUNNING, "board:virtual?reset=3000") as core:
        with pytest.raises(DeviceError, match="instead of"):
            core(value=np.arange(3000) % 100)
        assert core(value=[5])["sum"].tolist() == [7]


def test_a_board_that_hangs_is_lost() -> None:
    core = opened(RUNNING, "board:virtual?hang=3000")
    core.client.link.timeout_s, core.client.link.tries = 0.05, 3
    with core, pytest.raises(LostDeviceError, match="the link is dead"):
        core(value=np.arange(3000) % 100)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": [[0] * 8]}, "the core takes x, w, not x"),
        ({"x": [[0] * 7], "w": [[0] * 7]}, r"x of the input a must have shape \(1, 8\)"),
        ({"x": [[200] * 8], "w": [[0] * 8]}, "x of the input a must be from -128 to 127, not 200"),
    ],
)
def test_refuses_wrong_arrays(arrays: dict[str, Any], message: str) -> None:
    with opened(DOT8) as core, pytest.raises(InputError, match=message):
        core(**arrays)


def test_a_simulated_board_has_its_uart_and_its_clock() -> None:
    """The same payloads pass at one byte in ten bits of eight clock cycles."""
    with opened(DOT8, "board:icebreaker?flip=1e-4", LANES=2) as core:
        sent = vectors(60, lanes=2)
        assert np.array_equal(core(**sent)["sum"], dots(sent))
        assert core.read("clock_hz") == 24_000_000
        assert core.read("window") == 2


def test_a_core_is_served_on_a_named_board() -> None:
    result = CliRunner().invoke(cli, ["board", "serve", "icebraker", "--core", DOT8])
    assert result.exit_code == 2
    assert "a core is served on one of the boards virtual, icebreaker, ulx3s, " in " ".join(result.output.split())


def test_refuses_unknown_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device must name a board"):
        opened(DOT8, "board")
    with pytest.raises(InputError, match=r"the board must be one of virtual, icebreaker, .*, not 'icebraker'"):
        opened(DOT8, "board:icebraker")
    described = interface_of(RUNNING, {})
    manifest = replace(next(iter(manifests().values())), streams=described.streams, registers=described.registers)
    (tmp_path / "running.json").write_text(manifest.to_json())
    with pytest.raises(InputError, match="is a manifest, which cannot be simulated"):
        opened(str(tmp_path / "running.json"))
    with pytest.raises(InputError, match="a parameter of dot8 must be"):
        opened(DOT8, "board:sim://" + DOT8 + "#WIDTH=3")


def test_a_board_around_another_core_is_refused() -> None:
    with pytest.raises(LostDeviceError, match="no board of design stream"):
        opened(DOT8, "board:sim://virtual/tiny")


def test_registers_of_a_verilog_module() -> None:
    with opened(SCALED) as core:
        x = np.arange(256)
        assert np.array_equal(core(x=x)["scaled"], np.minimum(x * 3, 255))
        assert core.read("overflows") == np.count_nonzero(x * 3 > 255)
        core.write("gain", 15)
        assert np.array_equal(core(x=x)["scaled"], np.minimum(x * 15, 255))
        core.selftest(SCALED, {})
        core.write("gain", 4)
        assert core.read("gain") == 4


def test_known_answers_find_another_core(tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(Path(RUNNING).read_text().replace("+ 2).cumsum()", "+ 2).cumsum() | 1"))
    with opened(RUNNING) as core:
        core.selftest(RUNNING, {}, payloads=200)
        with pytest.raises(DeviceError, match=r"fails its known-answer test: payload [0-9]+ of sum is -?[0-9]+ where"):
            core.selftest(str(other), {}, payloads=200)


def test_a_write_after_a_failed_call_is_kept() -> None:
    with opened(SCALED) as core:
        x = np.arange(64)
        with pytest.raises(DeviceError, match="the core did not give"):
            core.client.exchange({"a": np.zeros((1, 1), np.uint8)}, wanted={"y": 2})
        core.write("gain", 7)
        assert np.array_equal(core(x=x)["scaled"], np.minimum(x * 7, 255))


def test_options_of_the_command_that_do_not_belong_together() -> None:
    run = CliRunner().invoke
    for words, message in (
        (["--core", RUNNING, "--digest", "00"], "--core cannot be combined with --digest"),
        (["--core", RUNNING, "--record", "x"], "--core cannot be combined with --record"),
        (["virtual", "-p", "LANES=1"], "--parameter LANES=1 needs --core"),
    ):
        result = run(cli, ["board", "selftest", *words])
        assert (result.exit_code, message in result.output) == (2, True), result.output


def test_the_command_tests_a_simulated_board_by_its_name_or_its_url() -> None:
    run = CliRunner().invoke
    for words in (["virtual"], [], [f"sim://{RUNNING}"]):
        result = run(cli, ["board", "selftest", *words, "--core", RUNNING])
        assert result.exit_code == 0, result.output
        assert "the known-answer test passes; " in result.stdout


def test_register_files_of_a_core() -> None:
    run = CliRunner().invoke
    written = {
        form: run(cli, ["registers", "--core", SCALED, "--format", form]).stdout for form in ("c", "svd", "json")
    }
    assert "#define NINEFOLD_GAIN_ADDRESS 0x40u\n" in written["c"]
    assert (
        "/* read-only: Products above 255 since a reset. */\n#define NINEFOLD_OVERFLOWS_ADDRESS 0x41u" in written["c"]
    )
    assert "<name>SCALED</name>" in written["svd"]
    gain = next(one for one in json.loads(written["json"])["registers"] if one["name"] == "gain")
    assert gain == {
        "name": "gain",
        "address": 0x40,
        "count": 1,
        "access": "rw",
        "reset": 3,
        "description": "Factor of each byte.",
        "fields": [{"name": "value", "low": 0, "width": 4, "description": "Its value."}],
    }


def test_a_manifest_stands_for_the_core(tmp_path: Path) -> None:
    """A driver needs the manifest of a bitstream only, and refuses another bitstream."""
    described = interface_of(RUNNING, {})
    manifest = replace(
        next(iter(manifests().values())),
        name="icebreaker/running",
        streams=described.streams,
        registers=described.registers,
    )
    file = tmp_path / "running.json"
    file.write_text(manifest.to_json())
    assert Manifest.from_json(file.read_text()) == manifest
    url = f"board:sim://{RUNNING}"
    with pytest.raises(LostDeviceError, match=f"where {manifest.digest[:16]} is expected: program it"):
        opened(str(file), url)
    with opened(RUNNING) as core:
        digest = core.client.identity.digest
    file.write_text(replace(manifest, digest=digest).to_json())
    with opened(str(file), url) as core:
        assert core.inputs == {"value": "value: int16 of 12 bits (n,)", "last": "last: bool (n,)"}
        assert core(value=[1, 2])["sum"].tolist() == [3, 7]
        assert core.read("packets") == 1
    for text in (
        manifest.to_json().replace('"signed": true', '"signed": 3'),
        manifest.to_json().replace('"rw"', '"x"'),
    ):
        with pytest.raises(DamagedDataError, match=r"(signed must be true or false|access must be r or rw)"):
            Manifest.from_json(text)


@pytest.mark.parametrize(
    ("register", "message"),
    [
        ("ControlRegister(5)", "the register gain of scaled needs an input of 5 bits, not `input [3:0] gain`"),
        ("StatusRegister(4)", "the register gain of scaled needs an output of 4 bits, not `input [3:0] gain`"),
        ('ControlRegister(4, port="lost")', "scaled has no port 'lost' for the register gain"),
        ("ControlRegister(4, reset=16)", "the reset value of a register of 4 bits must be 0 to 15, not 16"),
        ("ControlRegister(33)", "a register must have 1 to 32 bits, not 33"),
        ('ControlRegister("x")', "a register must have an Amaranth shape"),
        ("4", "register gain must be a ControlRegister or a StatusRegister, not 4"),
    ],
)
def test_refuses_wrong_registers(tmp_path: Path, register: str, message: str) -> None:
    text = (OWN / "scaled.py").read_text().replace('ControlRegister(4, "Factor of each byte.", reset=GAIN)', register)
    (tmp_path / f"scaled{abs(hash(register))}.py").write_text(text)
    (tmp_path / "scaled.v").write_text((OWN / "scaled.v").read_text())
    with pytest.raises(InputError) as error:
        interface_of(str(next(tmp_path.glob("*.py"))), {})
    assert message in str(error.value)


def test_a_core_of_the_same_streams_with_other_widths_is_refused() -> None:
    with pytest.raises(LostDeviceError) as error:
        opened(DOT8, f"board:sim://{DOT8}#LANES=2")
    here, there = (layout_check(interface_of(DOT8, {"LANES": lanes}).streams) for lanes in (8, 2))
    assert f"layout {there:#010x}, where this core has {here:#010x}" in str(error.value)
    # A register's meaning is no part of the layout; its width is.
    streams, (offset, packets) = (found := interface_of(RUNNING, {})).streams, found.registers
    checks = [
        layout_check(streams, registers)
        for registers in (
            (offset, packets),
            (replace(offset, doc="x"), packets),
            (replace(offset, bits=7), packets),
            (packets, offset),
        )
    ]
    assert checks[0] == checks[1]
    assert len(set(checks)) == 3


def test_a_call_ends_when_its_outputs_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call waits for a core that its golden function describes, even if it takes parts of packets."""
    asked = 0

    def stalled(_: object) -> bool:
        nonlocal asked
        asked += 1
        assert asked < 3000, "a call waits for more outputs"
        return False

    with opened(DOT8) as core, monkeypatch.context() as patch:
        patch.setattr("ninefold.drivers.streams._Transfer._stalled", stalled)
        for count in (0, 1, 300):
            sent = vectors(count)
            assert np.array_equal(core(**sent)["sum"], dots(sent))
    with opened(RUNNING) as core, monkeypatch.context() as patch:
        patch.setattr("ninefold.drivers.streams._Transfer._stalled", stalled)
        assert core(value=[1, 2], last=[0, 0])["sum"].tolist() == [3, 7]
        assert core(value=[1, 2], last=[1, 0])["sum"].tolist() == [10, 4]
    with opened(CRC16) as core:
        # A packet that is not complete has no output, for which a call waits in vain.
        assert core(data=[1, 2], last=[0, 0])["crc"].tolist() == []
        patch = pytest.MonkeyPatch()
        patch.setattr("ninefold.drivers.streams._Transfer._stalled", stalled)
        assert core(data=[3], last=[1])["crc"].tolist() == [binascii.crc_hqx(b"\1\2\3", 0)]
        patch.undo()


def test_outputs_for_each_input_and_packet(tmp_path: Path) -> None:
    assert yields(DOT8, {}) == {"y": (1, 0)}
    assert yields(RUNNING, {}) == {"sums": (1, 0)}
    assert yields(CRC16, {}) == {"crc": (0, 1)}
    text = Path(DOT8).read_text()
    (tmp_path / "dot8.v").write_text(Path(DOT8).with_suffix(".v").read_text())
    for name, answer, found in (
        ("twice", "np.repeat((x.astype(int) * w).sum(axis=1), 2)", {"y": (2, 0)}),
        ("some", "(s := (x.astype(int) * w).sum(axis=1))[s > 0]", None),
        ("none", "np.zeros(0, int)", None),
    ):
        golden = f'\n\ndef golden(x, w):\n    import numpy as np\n    return {{"sum": {answer}}}\n'
        (tmp_path / f"dot8_{name}.py").write_text(text + golden)
        assert yields(str(tmp_path / f"dot8_{name}.py"), {}) == found


def test_expectations_end_with_what_refutes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """After more outputs than expected, or a write of a register, calls wait for what comes, until a reset."""
    asked: list[Any] = []
    more = 0

    def exchanged(beats: dict[str, Any], *, expected: Any) -> dict[str, Any]:
        asked.append(expected)
        return {"y": np.zeros((more + len(beats["a"]), 1), np.uint8)}

    with opened(SCALED) as core:
        monkeypatch.setattr(core.client, "exchange", exchanged)
        for more in (0, -1, 1, 1, 0):  # noqa: B007 - `exchanged` uses it
            core(x=[1, 2])
        core.reset()
        core(x=[1])
        core.write("gain", 2)
        core(x=[1])
    assert asked == [{"y": 2}, {"y": 2}, {"y": 3}, {"y": 2}, None, {"y": 1}, None]


def test_reads_of_a_virtual_board_end_soon_after_it_is_quiet() -> None:
    with opened(DOT8) as core:
        board: Any = core.client.link._transport
        before = board.cycles
        core.read("turn")
        assert board.cycles - before < 500


def test_two_hosts_on_one_board() -> None:
    """The second host takes the board; the first notices, and its next call starts with a reset."""
    with opened(RUNNING) as first:
        transport = first.client.link._transport
        assert first(value=[1, 2])["sum"].tolist() == [3, 7]
        described = interface_of(RUNNING, {})
        second = BoardCore(StreamClient(transport, described.streams, described.registers))
        second.write("offset", 0)
        assert second(value=[5, 6])["sum"].tolist() == [5, 11]
        with pytest.raises(DeviceError, match="instead of"):
            first(value=[1])
        assert first(value=[5])["sum"].tolist() == [7], "as after a reset"
        with pytest.raises(DeviceError, match="instead of"):
            second(value=[1])
