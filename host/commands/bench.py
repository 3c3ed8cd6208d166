"""``ninefold bench``: run the benchmarks that installed packages offer, beside their peers."""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ninefold.spec.benchmark import BENCHMARKS, Row
from ninefold.spec.errors import InputError
from ninefold.spec.registry import entries

__all__ = ["bench"]


@click.command()
@click.argument("suites", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench(suites: tuple[str, ...], as_json: bool) -> None:
    """Measure SUITES (default: all) and print each figure beside its target and peer.

    Times are medians of interleaved repetitions in this run on this machine, given as ratios to the peer.
    """
    found = entries(BENCHMARKS)
    for name in suites:
        if name not in found:
            raise InputError(f"suite must be one of {', '.join(found)}, not {name!r}")
    console = Console(stderr=as_json)
    results: dict[str, list[Row]] = {}
    for name in suites or found:
        with console.status(f"measuring {name}"):
            measure: Callable[[], list[Row]] = found[name].load()
            results[name] = measure()
        console.print(_table(name, results[name]))
    if as_json:
        report = {"machine": machine(), "suites": {name: [asdict(r) for r in rows] for name, rows in results.items()}}
        click.echo(json.dumps(report, indent=2))


def machine() -> dict[str, str]:
    """Return what the figures were measured on: processor, system, Python and Ninefold's version."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": f"{len(models)} x {models[0]}" if models else platform.processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "ninefold": version("ninefold"),
    }


def _table(name: str, rows: list[Row]) -> Table:
    table = Table(title=name, title_justify="left")
    for heading in ("figure", "value", "unit", "target", "beside", "detail"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for row in rows:
        table.add_row(row.name, f"{row.value:.4g}", row.unit, row.target, row.peer, row.detail)
    return table
