"""``ninefold estimate``: estimate cells, memory and speed of a configuration without building it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ninefold.hdl.commands.parameters import type_of
from ninefold.spec.errors import InputError
from ninefold.spec.manifest import Manifest, manifests
from ninefold.spec.progress import step

if TYPE_CHECKING:
    from ninefold.hdl.core import Core

__all__ = ["estimate"]

_CELLS = "logic cells, packed"


@click.command()
@click.argument("name", metavar="BOARD[/CONFIG]|FILE|CORE")
@click.option(
    "-p",
    "--parameter",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Replace a parameter, e.g. lanes=32; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def estimate(name: str, given: tuple[str, ...], as_json: bool) -> None:
    """Estimate cells, memory, cycles and queries per second of a configuration, next to the figures of its bitstream.

    A core, by name or path, is synthesised for each device family instead, without placement. Its cells are shown as
    parts of the boards' devices.

    Cycles and memory blocks are computed exactly; cells are estimated by a fit to small designs. The clock is the
    board's, which a build may miss. Queries have packed nits and the maximum number of results, with a full store.
    """
    from ninefold.hdl.boards import BOARDS
    from ninefold.hdl.configurations import named
    from ninefold.hdl.estimate import changed, speed
    from ninefold.hdl.estimate_area import AVAILABLE, REPORTED, area

    if _is_core(name):
        _estimate_core(name, _values(given), as_json)
        return
    name, unchanged = named(name)
    chosen = changed(unchanged, _values(given))
    board = name.partition("/")[0]
    if board not in BOARDS:
        raise InputError(f"{name} has no device: give a configuration of {', '.join(BOARDS)}")
    made = None if given else manifests().get(name)
    fast, taken = speed(chosen), area(chosen.miner, BOARDS[board].toolchain)
    available = AVAILABLE[BOARDS[board].device]
    excess = taken.excess(available)
    if as_json:
        report = {"configuration": name, "parameters": dict(v.split("=", 1) for v in given)}
        measured = None if made is None else _measured(made)
        click.echo(
            json.dumps(
                {
                    **report,
                    **asdict(taken),
                    "available": dict(available),
                    "fits": not excess,
                    **asdict(fast),
                    "measured": measured,
                },
                indent=2,
            )
        )
        return
    table = Table(title=" ".join([name, *given]))
    for heading in ("", "estimate", "built", "available"):
        table.add_column(heading, justify="right" if heading else "left")
    built = {} if made is None else _measured(made)
    used = {REPORTED.get(name, name): count for name, count in built.get("resources", {}).items()}
    limits = {_CELLS if name == "packed" else name: count for name, count in available.items()}
    rows: list[tuple[str, str, Any]] = [
        ("LUT4", "not fitted" if taken.lut4 is None else f"{taken.lut4:,}", built.get("lut4")),
        (_CELLS, "not fitted" if taken.packed is None else f"{taken.packed:,}", used.get("packed")),
        *((block, f"{count:,}", used.get(block)) for block, count in taken.blocks.items()),
        ("cycles a query, engine", f"{fast.engine_cycles:,}", None),
        ("cycles a query, UART", f"{fast.line_cycles:,.0f}", None),
        ("cycles between queries", f"{fast.interval_cycles:,.0f}", None),
        ("cycles of latency", f"{fast.latency_cycles:,}", None),
        ("queries a second", f"{fast.queries_s:,.0f}", None),
        ("UART to the board busy", f"{fast.link_share:.0%}", None),
        ("UART from the board busy", f"{fast.reply_share:.0%}", None),
    ]
    for label, value, beside in rows:
        table.add_row(label, value, *("" if n is None else f"{n:,}" for n in (beside, limits.get(label))))
    for clock, fmax_mhz in built.get("fmax_mhz", {}).items():
        table.add_row(f"fmax of {clock} (MHz)", "", f"{fmax_mhz:.1f}")
    Console().print(table)
    if excess:
        click.echo(f"{' '.join([name, *given])} does not fit: {excess}", err=True)


def _is_core(name: str) -> bool:
    from ninefold.hdl.catalogue import core_names, is_path
    from ninefold.hdl.configurations import is_configuration

    return not is_configuration(name) and (name in core_names() or is_path(name))


def _estimate_core(name: str, given: dict[str, str], as_json: bool) -> None:
    """Print the cells of a core for each family, and what part of each board's device they are."""
    from ninefold.hdl.boards import BOARDS
    from ninefold.hdl.catalogue import find_core, make_core
    from ninefold.hdl.estimate_area import AVAILABLE
    from ninefold.hdl.synthesis import synthesised

    entry = find_core(name).core
    chosen = {**entry.defaults, **_parameters(entry, given)}
    families = list(dict.fromkeys(board.toolchain for board in BOARDS.values()))
    cells = {}
    for family in families:
        with step(f"synthesising {name} for {family}"):
            cells[family] = synthesised(make_core(name, **chosen), family)
    boards = {
        board.name: {"device": board.device, **_share(cells[board.toolchain], AVAILABLE[board.device])}
        for board in BOARDS.values()
    }
    if as_json:
        click.echo(json.dumps({"core": name, "parameters": chosen, "families": cells, "boards": boards}, indent=2))
        return
    title = f"{name}: {', '.join(f'{key} {value}' for key, value in chosen.items())}".removesuffix(": ")
    table = Table(title=f"{title} (synthesised, not placed)", title_justify="left")
    for heading in ("board", "LUT4", "FF", "block RAM", "LUT RAM", "DSP", "cells", "memory", "fits"):
        table.add_column(
            heading, justify="left" if heading in ("board", "fits") else "right", no_wrap=heading == "board"
        )
    for board in BOARDS.values():
        found, share = cells[board.toolchain], boards[board.name]
        counts = (f"{found[name]:,}" for name in ("lut4", "ff", "block_ram", "lut_ram", "dsp"))
        parts = (f"{share['cells']:.1%}", f"{share['memory']:.1%}", "yes" if share["fits"] else "NO")
        table.add_row(board.name, *counts, *parts)
    Console().print(table)


def _share(cells: dict[str, int], available: Mapping[str, int]) -> dict[str, Any]:
    """Return the parts of a device's logic cells and block RAM that a core takes."""
    memory = next(count for name, count in available.items() if name not in ("packed", "SB_SPRAM256KA"))
    used = max(cells["lut4"], cells["ff"]) / available["packed"]
    held = cells["block_ram"] / memory
    return {"cells": round(used, 4), "memory": round(held, 4), "fits": used <= 1 and held <= 1}


def _parameters(core: Core, given: dict[str, str]) -> dict[str, Any]:
    """Return the given parameters of a core with the types that its constructor names; unknown ones stay words."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        known = core.parameters.get(name)
        try:
            found[name] = text if known is None else type_of(known, core.defaults.get(name)).convert(text, None, None)
        except click.BadParameter as error:
            raise InputError(f"{name} must fit the core: {error.message}") from error
    return found


def _values(given: tuple[str, ...]) -> dict[str, str]:
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"a parameter must be NAME=VALUE, not {text!r}")
        values[name] = value
    return values


def _measured(made: Manifest) -> dict[str, Any]:
    resources = {name: usage.used for name, usage in made.resources.items()}
    clocks = {name: clock.fmax_mhz for name, clock in made.clocks.items()}
    return {"lut4": resources.get("lut4"), "resources": resources, "fmax_mhz": clocks}
