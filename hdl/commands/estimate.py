"""``ninefold estimate``: estimate cells, memory and speed of a configuration without building it."""

import json
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ninefold.spec.errors import InputError
from ninefold.spec.manifest import Manifest, manifests

__all__ = ["estimate"]

_CELLS = "logic cells, packed"


@click.command()
@click.argument("name", metavar="BOARD[/CONFIG]|FILE")
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

    Cycles and memory blocks are computed exactly; cells are estimated by a fit to small designs. The clock is the
    board's, which a build may miss. Queries have packed nits and the maximum number of results, with a full store.
    """
    from ninefold.hdl.boards import BOARDS
    from ninefold.hdl.configurations import named
    from ninefold.hdl.estimate import changed, speed
    from ninefold.hdl.estimate_area import AVAILABLE, REPORTED, area

    _refuse_core(name)
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


def _refuse_core(name: str) -> None:
    from ninefold.hdl.catalogue import core_names, is_path
    from ninefold.hdl.configurations import is_configuration

    if not is_configuration(name) and (name in core_names() or is_path(name)):
        raise InputError(
            f"{name} is a core, and estimates are of configurations: give BOARD/CONFIG, or use `ninefold synth {name}`"
        )


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
