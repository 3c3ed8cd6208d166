"""Builds of configurations on a front, and their comparison with the estimates."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ninefold.hdl.bitstream import build, export, plan
from ninefold.hdl.estimate_area import REPORTED, Area
from ninefold.hdl.explore.objectives import BLOCK_KBIT, Objective, Point
from ninefold.hdl.reports import ReportError
from ninefold.spec.errors import FullDiskError, ToolError
from ninefold.spec.manifest import Manifest

__all__ = ["build_one", "measured", "ratios"]


def build_one(path: Path, output: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Build the bitstream of a configuration file with seed 1, and return a record of the result.

    Parameters
    ----------
    path : Path
        File of the configuration.
    output : Path
        Folder for bitstream and manifest.
    say : callable, optional
        Called with one line after each finished step: elaboration, synthesis, placement.

    Returns
    -------
    dict
        ``digest`` of the plan, ``timing_met``, ``fmax_mhz`` of the slowest clock, ``lut4``, ``packed``, ``blocks``,
        ``seconds``. If a tool failed, for example because the design does not fit: ``digest`` and ``error``, the last
        line of the tool's output.

    Raises
    ------
    UnavailableError
        A tool is not installed.
    FullDiskError
        The disk is full.
    ReportError
        The report of a tool cannot be read.
    """
    planned = plan(str(path))
    say(f"elaborated: digest {planned.digest[:16]}")
    try:
        made = build(planned, (1,), say)
    except (FullDiskError, ReportError):
        # The design is not the cause, so another attempt may succeed.
        raise
    except ToolError as error:
        return {"digest": planned.digest, "error": str(error).strip().splitlines()[-1]}
    export(made, output)
    return _record(made.manifest)


def measured(point: Point, record: Mapping[str, Any], objectives: tuple[Objective, ...]) -> dict[str, float]:
    """Return the values of the objectives for a built configuration; empty if the build failed.

    Cycles are the estimated ones, at the board's clock, or at the clock that the design reaches if that is lower.
    """
    if "error" in record:
        return {}
    area = Area(record["lut4"], record["packed"], dict(record["blocks"]))
    found = Point(point.configuration, point.speed, area, point.overuse)
    reached = min(1.0, 1e6 * record["fmax_mhz"] / point.configuration.miner.clock_hz)
    return {o.name: _at(o, o.value(found), reached) for o in objectives}


def ratios(built: Mapping[str, float], estimate: Mapping[str, float]) -> dict[str, float]:
    """Return the ratio of built to estimated value for each objective whose estimate is not 0."""
    return {name: value / estimate[name] for name, value in built.items() if estimate[name]}


def _at(objective: Objective, value: float, reached: float) -> float:
    """Return a value at the fraction `reached` of the board's clock."""
    if not objective.clocked:
        return value
    return value * reached if objective.direction == "maximize" else value / reached


def _record(manifest: Manifest) -> dict[str, Any]:
    used = {REPORTED.get(name, name): usage.used for name, usage in manifest.resources.items()}
    return {
        "digest": manifest.digest,
        "timing_met": manifest.timing_met,
        "fmax_mhz": min(clock.fmax_mhz for clock in manifest.clocks.values()),
        "lut4": used["lut4"],
        "packed": used.get("packed"),
        "blocks": {name: used[name] for name in BLOCK_KBIT if name in used},
        "seconds": manifest.seconds,
    }
