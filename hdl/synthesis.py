"""Synthesis, placement and routing of a core with the open tools, and the results."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amaranth.lib import wiring

from ninefold.hdl import block_ram, reports, tools, yosys
from ninefold.hdl.elaborate import allow_collisions, rtlil
from ninefold.hdl.families import FAMILIES, Family
from ninefold.hdl.harness import Harness
from ninefold.hdl.reports import ReportError, Resources, Step
from ninefold.hdl.spram import SpramMemories
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError
from ninefold.spec.progress import step
from ninefold.spec.text import counted

__all__ = ["ROUTERS", "Flow", "Implementation", "Placement", "implement", "synthesised"]

ROUTERS: Final = ("router1", "router2")
#: Number of placements in parallel; each is a WebAssembly program that needs much memory.
_AT_ONCE = 2
#: The hierarchy of the core is kept until mapping, so that its cells are counted separately from the harness.
_YOSYS_SCRIPT = (
    "read_rtlil top.il; setattr -mod -set keep_hierarchy 1 top.core; {synthesis} -top top; "
    "tee -q -o stat.json stat -json; setattr -mod -unset keep_hierarchy top.core; flatten; {pads}write_json top.json"
)
#: Clock net of the harness, which also drives the core.
_CLOCKS: Final = ("clk",)


@dataclass(frozen=True)
class Flow:
    """Options of placement and routing.

    Attributes
    ----------
    device : str
        Device of the family; empty for its default, on ECP5 ``"85k"`` (LFE5U-85F).
    speed : int, optional
        Speed grade of ECP5, 6 (slowest, default) to 8. Other families accept none.
    target_mhz : float
        Target clock frequency in MHz, 1 to 1000.
    router : str
        ``"router1"`` gives faster designs; ``"router2"`` runs much faster on large designs.
    family : str
        One of ``FAMILIES``.
    package : str
        Package of the device; empty for its first.

    Raises
    ------
    InputError
        A value is not allowed.
    """

    device: str = ""
    speed: int | None = None
    target_mhz: float = 250.0
    router: str = "router1"
    family: str = "ecp5"
    package: str = ""

    def __post_init__(self) -> None:
        _check("family", self.family, tuple(FAMILIES))
        family = self.parts
        self._default("device", family.default)
        _check("device", self.device, tuple(family.devices))
        self._default("package", family.devices[self.device][0])
        _check("package", self.package, family.devices[self.device], f" of {self.device}")
        if not family.speeds and self.speed is not None:
            raise InputError(
                f"{self.family} has no choice of speed grades, so speed must not be given, not {self.speed!r}"
            )
        if family.speeds:
            self._default("speed", family.speeds[0])
            _check("speed", self.speed, family.speeds)
        _check("router", self.router, ROUTERS)
        if not 1 <= self.target_mhz <= 1000:
            raise InputError(f"target_mhz must be from 1 to 1000, not {self.target_mhz!r}")

    def _default(self, name: str, value: str | int) -> None:
        if getattr(self, name) in ("", None):
            object.__setattr__(self, name, value)

    @property
    def parts(self) -> Family:
        """Family with the name `family`."""
        return FAMILIES[self.family]

    @property
    def script(self) -> str:
        """Script for Yosys."""
        pads = f"{self.parts.pads}; " if self.parts.pads else ""
        return _YOSYS_SCRIPT.format(synthesis=self.parts.synthesis(self.device), pads=pads)

    @property
    def arguments(self) -> list[str]:
        """Options of nextpnr."""
        options = ["--router", self.router, "--freq", f"{self.target_mhz:g}"]
        part = self.parts.arguments(self.device, self.package, self.speed)
        return [*part, *options, *self.parts.options]


@dataclass(frozen=True)
class Placement:
    """Result of placement and routing with one seed.

    Attributes
    ----------
    seed : int
        Seed of placer and router.
    fmax_mhz : float
        Maximum clock frequency after routing, from nextpnr, in MHz.
    critical_path : tuple of Step
        Path that limits the clock.
    """

    seed: int
    fmax_mhz: float
    critical_path: tuple[Step, ...]


@dataclass(frozen=True)
class Implementation:
    """Implementation of a core by the tools.

    Attributes
    ----------
    resources : Resources
        Cells of the core, without the harness.
    placements : tuple of Placement
        Results for each seed, in the order of the seeds.
    flow : Flow
        Options of placement and routing.
    versions : dict of str to str
        Versions of the tools.
    """

    resources: Resources
    placements: tuple[Placement, ...]
    flow: Flow
    versions: dict[str, str]

    @property
    def best(self) -> Placement:
        """Fastest placement; the first of equal ones."""
        return max(self.placements, key=lambda placement: placement.fmax_mhz)


def implement(
    core: wiring.Component,
    flow: Flow | None = None,
    seeds: Sequence[int] = (1,),
    say: Callable[[str], None] = lambda _: None,
) -> Implementation:
    """Synthesise, place and route a core in a harness that keeps pads out of its paths.

    Results are cached by the digest of RTLIL, options and versions of the tools.

    Parameters
    ----------
    core : wiring.Component
        The core, with at least one output.
    flow : Flow, optional
        Family, device and options; an LFE5U-85F of speed grade 6 by default.
    seeds : sequence of int
        Seeds for placement and routing; two run in parallel.
    say : callable, optional
        Called with a line after synthesis and after each seed.

    Raises
    ------
    UnavailableError
        A tool is not installed; the message says how to install it.
    ToolError
        A tool failed, for example because the core does not fit the device, or its report cannot be read.
    """
    flow = flow or Flow()
    if not seeds:
        raise InputError("seeds must name at least one seed, not none")
    family = flow.parts
    versions = {package: tools.version_of(package, family.install) for package in (yosys.PACKAGE, family.program)}
    text = _harnessed(core, flow)
    # The size distinguishes different parameters.
    name = f"{type(core).__name__} ({counted(text.count(chr(10)), 'line')} of RTLIL)"
    with step(f"synthesising {name}"):
        netlist_digest, netlist = _synthesise(text, flow, versions[yosys.PACKAGE])
    say("synthesised")

    def place(seed: int) -> dict[str, Any]:
        key = digest_of(netlist_digest, flow.arguments, seed, versions[family.program])

        def build(folder: Path) -> None:
            # The tool can access its working folder, but not every other folder.
            shutil.copy(netlist / "top.json", folder)
            if pins := family.constraints(flow.device):
                (folder / "top.cst").write_text(pins)
            files = ["--json", "top.json", "--report", "report.json"]
            tools.run([program, *flow.arguments, "--seed", str(seed), *files, "--quiet"], folder)
            (folder / "top.json").unlink()

        with step(f"placing and routing {name}, seed {seed}"):
            report = _report(BuildCache("place").get(key, build, _report))
        say(f"seed {seed}: {reports.fmax_mhz(report):.1f} MHz")
        return report

    program = tools.ready(family.program, family.install)
    found = tools.together(place, seeds, _AT_ONCE)
    try:
        statistics = reports.statistics(netlist / "stat.json")
    except ReportError:
        shutil.rmtree(netlist)
        raise
    placements = (
        Placement(seed, reports.fmax_mhz(report), reports.critical_path(report))
        for seed, report in zip(seeds, found, strict=True)
    )
    absorbed = int((netlist / "absorbed").read_text())
    resources = reports.resources(statistics, found[0], absorbed, flow.family)
    return Implementation(resources, tuple(placements), flow, versions)


def synthesised(core: wiring.Component, family: str) -> dict[str, int]:
    """Synthesise a core as `implement` does, without placing it, and return its cells by name.

    Parameters
    ----------
    core : wiring.Component
        The core, with at least one output.
    family : str
        One of ``FAMILIES``.

    Raises
    ------
    InputError
        There is no such family.
    UnavailableError
        Yosys is not installed.
    ToolError
        Yosys failed, or its report cannot be read.
    """
    flow = Flow(family=family)
    text = _harnessed(core, flow)
    _, netlist = _synthesise(text, flow, yosys.version())
    absorbed = int((netlist / "absorbed").read_text())
    return reports.core_cells(reports.statistics(netlist / "stat.json"), absorbed, family)


def _harnessed(core: wiring.Component, flow: Flow) -> str:
    """Return the RTLIL of a core in its harness, with the memories of the device."""
    spram = flow.parts.spram
    return allow_collisions(
        rtlil(Harness(core), platform=SpramMemories() if spram and flow.device.startswith(spram) else None)
    )


def _synthesise(text: str, flow: Flow, version: str) -> tuple[str, Path]:
    """Return the digest of the harness' netlist and the folder with netlist and statistics."""
    key = digest_of(text, flow.script, block_ram.REVISION, version)

    def build(folder: Path) -> None:
        (folder / "top.il").write_text(text)
        yosys.run(flow.script, folder)
        tools.require(folder / "top.json", "Yosys")
        # Leave the registers of the harness in place, because only the core is measured.
        absorbed = block_ram.absorb_registers(folder / "top.json", within="core.") if flow.parts.absorbs else 0
        (folder / "absorbed").write_text(str(absorbed))

    return key, BuildCache("synth").get(key, build, lambda entry: tools.require(entry / "absorbed", "Yosys"))


def _report(folder: Path) -> dict[str, Any]:
    return reports.load(folder / "report.json", _CLOCKS)


def _check(name: str, value: object, allowed: tuple[object, ...], of: str = "") -> None:
    if value not in allowed:
        raise InputError(f"{name}{of} must be one of {', '.join(map(str, allowed))}, not {value!r}")
