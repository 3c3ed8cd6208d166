"""Building of a bitstream: synthesis, then place, route and pack for each seed, each cached by its inputs."""

import hashlib
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold.hdl import reports, tools, yosys
from ninefold.hdl.bitstream.plans import Plan
from ninefold.hdl.bitstream.recipes import TIMING_RIPUP
from ninefold.hdl.block_ram import absorb_registers
from ninefold.hdl.estimate_area import AVAILABLE
from ninefold.hdl.floorplan import pin_memories
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import InputError, ToolError
from ninefold.spec.manifest import Clock, Manifest, Usage
from ninefold.spec.progress import step

__all__ = ["Built", "build"]

#: Maximum number of parallel runs; each is a WebAssembly program that needs much memory.
_AT_ONCE = 2
#: A round of router2 in the log: wires that nets share, and paths that miss their timing.
_ROUND = re.compile(r"iter=\d+ wires=\d+ overused=(\d+) overuse=\d+ tmgfail=(\d+)")
_PATIENCE = 100


@dataclass(frozen=True)
class Built:
    """Bitstream that was built.

    Attributes
    ----------
    manifest : Manifest
        Description of the bitstream.
    bitstream : Path
        File in the cache.
    tried : dict of int to float
        Maximum frequency in MHz of the slowest clock, by seed.
    """

    manifest: Manifest
    bitstream: Path
    tried: dict[int, float]


def build(plan: Plan, seeds: Sequence[int] = (1,), say: Callable[[str], None] = lambda _: None) -> Built:
    """Build the bitstream of a plan with each seed and select the fastest; results are cached.

    Parameters
    ----------
    plan : Plan
        Plan to build.
    seeds : sequence of int
        Seeds of placer and router, two at a time.
    say : callable, optional
        Called with one line after each step: the synthesis, then each seed.

    Raises
    ------
    InputError
        No seed is given.
    UnavailableError
        A tool is not installed; the message says how to install it.
    ToolError
        A tool failed, or its report cannot be read or does not name each clock of the design; or the synthesised design
        needs more cells than the device has, which the message names.
    """
    if not seeds:
        raise InputError("seeds must name at least one seed, not none")
    with step(f"synthesising {plan.name}"):
        netlist, took = _kept(
            "netlists", plan.digest, lambda folder: _synthesise(plan, folder), lambda entry: _check_netlist(plan, entry)
        )
    statistics = reports.cells(netlist / "stat.json")
    say(f"synthesised: {_count(statistics, plan.recipe.lut):,} LUT4, {took}")
    _refuse_excess(plan, reports.kinds(statistics, int((netlist / "absorbed").read_text()), plan.board.toolchain))

    def place(seed: int) -> Path:
        digest = digest_of(plan.digest, seed)
        with step(f"placing and routing {plan.name}, seed {seed}"):
            entry, took = _kept(
                "bitstreams",
                digest,
                lambda folder: _place(plan, netlist, seed, folder, say),
                lambda entry: _check_bitstream(plan, entry),
            )
        say(f"seed {seed}: {_fmax(plan, entry):.1f} MHz, {took}")
        return entry

    made = dict(zip(seeds, tools.together(place, seeds, _AT_ONCE), strict=True))
    tried = {seed: _fmax(plan, entry) for seed, entry in made.items()}
    best = max(tried, key=lambda seed: tried[seed])
    bitstream = made[best] / f"top{plan.recipe.suffix}"
    report = _report(plan, made[best])
    clocks = {
        name: Clock(plan.configuration.clock_hz / 1e6, fmax)
        for name, fmax in reports.clocks(report, plan.board.clocks).items()
    }
    manifest = Manifest(
        name=plan.name,
        digest=plan.digest,
        device=plan.board.part,
        seed=best,
        timing_met=all(clock.met for clock in clocks.values()),
        clocks=clocks,
        resources={
            "lut4": Usage(_count(statistics, plan.recipe.lut), None),
            "ff": Usage(_count(statistics, plan.recipe.ff) - int((netlist / "absorbed").read_text()), None),
            **reports.utilization(report),
        },
        tools=plan.versions,
        bitstream=hashlib.sha256(bitstream.read_bytes()).hexdigest(),
        critical_path=reports.critical_path(report, "serial."),
        seconds=round(_seconds(netlist) + _seconds(made[best]), 1),
        streams=() if plan.interface is None else plan.interface.streams,
        registers=() if plan.interface is None else plan.interface.registers,
    )
    return Built(manifest, bitstream, tried)


def _kept(cache: str, digest: str, make: Callable[[Path], None], check: Callable[[Path], object]) -> tuple[Path, str]:
    """Return a cache entry, built if it is missing or fails its check, and a text with the time taken."""
    took = "from the cache"

    def build(folder: Path) -> None:
        nonlocal took
        began = time.monotonic()
        make(folder)
        elapsed = time.monotonic() - began
        (folder / "seconds").write_text(f"{elapsed:.1f}")
        took = f"{elapsed:.0f} s"

    return BuildCache(cache).get(digest, build, check), took


def _synthesise(plan: Plan, folder: Path) -> None:
    for file, text in plan.sources().items():
        (folder / file).write_text(text)
    yosys.run(plan.recipe.script, folder)
    tools.require(folder / "top.json", "Yosys")
    (folder / "top.il").unlink()
    absorbed = absorb_registers(folder / "top.json") if plan.recipe.absorbs else 0
    (folder / "absorbed").write_text(str(absorbed))
    if plan.board.sites:
        pin_memories(folder / "top.json", plan.board.sites)


def _refuse_excess(plan: Plan, cells: Mapping[str, int]) -> None:
    """Raise `ToolError` before a placement that cannot succeed."""
    device = plan.board.device
    blocks = next(name for name in AVAILABLE[device] if name not in ("packed", "SB_SPRAM256KA"))
    needed = {
        "logic cells": (max(cells["lut4"], cells["ff"]), AVAILABLE[device]["packed"]),
        "block RAMs": (cells["block_ram"], AVAILABLE[device][blocks]),
    }
    excess = [f"{count:,} {name} or more, of {there:,}" for name, (count, there) in needed.items() if count > there]
    if excess:
        raise ToolError(f"{plan.name} does not fit {device}: it needs {' and '.join(excess)}")


def _check_netlist(plan: Plan, folder: Path) -> None:
    reports.cells(folder / "stat.json")
    for file in ("top.json", plan.recipe.constraints, "absorbed"):
        tools.require(folder / file, "Yosys")


def _place(plan: Plan, netlist: Path, seed: int, folder: Path, say: Callable[[str], None]) -> None:
    recipe = plan.recipe
    place, pack = (_program(command[0], recipe.install) for command in (recipe.place, recipe.pack))
    # WebAssembly tools have access to their working directory, but not to all other folders.
    for file in ("top.json", recipe.constraints):
        shutil.copy(netlist / file, folder)
    command: list[str | Path] = [place, *recipe.place[1:], "--seed", str(seed)]
    if TIMING_RIPUP in command:
        log = folder / "place.log"
        try:
            tools.run([*command, "--log", log.name], folder, watch=_Rounds(log).check)
        except _NoProgressError as stopped:
            say(f"seed {seed}: {stopped}; routing again without {TIMING_RIPUP}")
            tools.run([word for word in command if word != TIMING_RIPUP], folder)
        log.unlink(missing_ok=True)
    else:
        tools.run(command, folder)
    tools.require(folder / recipe.placed, recipe.place[0])
    reports.load(folder / "report.json", plan.board.clocks)
    tools.run([pack, *recipe.pack[1:]], folder)
    for file in {"top.json", recipe.constraints, recipe.placed}:
        (folder / file).unlink()


class _NoProgressError(Exception):
    """The router comes no closer to its target."""


class _Rounds:
    """Rounds of nextpnr's router2 in its log, which has no limit of rounds.

    Rounds are counted, not seconds, so that a repeated build ends in the same way.
    """

    def __init__(self, log: Path) -> None:
        self._log = log

    def check(self) -> None:
        """Raise `_NoProgressError` if `_PATIENCE` rounds without a shared wire left as many failing paths."""
        if not self._log.exists():
            return
        best, since = sys.maxsize, 0
        for overused, failing in _ROUND.findall(self._log.read_text(errors="replace")):
            if int(overused):
                best, since = sys.maxsize, 0
            elif int(failing) < best:
                best, since = int(failing), 0
            else:
                since += 1
            if since >= _PATIENCE:
                raise _NoProgressError(f"{best:,} paths or more miss the clock in {_PATIENCE} rounds of the router")


def _check_bitstream(plan: Plan, folder: Path) -> None:
    _report(plan, folder)
    tools.require(folder / f"top{plan.recipe.suffix}", plan.recipe.pack[0])


def _program(name: str, install: str) -> Path:
    return (tools.ready if name.startswith("yowasp-") else tools.find)(name, install)


def _seconds(folder: Path) -> float:
    return float((folder / "seconds").read_text())


def _report(plan: Plan, folder: Path) -> dict[str, Any]:
    return reports.load(folder / "report.json", plan.board.clocks)


def _fmax(plan: Plan, folder: Path) -> float:
    return reports.fmax_mhz(_report(plan, folder))


def _count(statistics: dict[str, int], cells: Any) -> int:
    return sum(count for cell, count in statistics.items() if cells.fullmatch(cell))
