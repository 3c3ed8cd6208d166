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
from rich.text import Text

from ninefold.spec.benchmark import BENCHMARKS, Benchmark, Row
from ninefold.spec.errors import InputError, UnavailableError
from ninefold.spec.registry import entries

__all__ = ["bench"]


@click.command()
@click.argument("suites", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench(suites: tuple[str, ...], as_json: bool) -> None:
    """Measure SUITES (default: all) and print each figure beside its target and peer.

    Times are medians of interleaved repetitions in this run on this machine, given as ratios to the peer. What a suite
    needs is looked for before any is run; without SUITES, those that lack something are left out.
    """
    found = entries(BENCHMARKS)
    for name in suites:
        if name not in found:
            raise InputError(f"suite must be one of {', '.join(found)}, not {name!r}")
    console = Console(stderr=as_json)
    measures: dict[str, Callable[[], list[Row]]] = {name: found[name].load() for name in suites or found}
    left_out = {name: reason for name, measure in measures.items() if (reason := _missing(measure))}
    if left_out and suites:
        raise UnavailableError("; ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    for name, reason in left_out.items():
        click.echo(f"left out: {name}: {reason}", err=True)
    results: dict[str, list[Row]] = {}
    for name in [name for name in measures if name not in left_out]:
        try:
            with console.status(f"measuring {name}"):
                results[name] = measures[name]()
        except UnavailableError as error:
            if suites:
                raise
            left_out[name] = str(error)
            click.echo(f"left out: {name}: {error}", err=True)
        else:
            console.print(_table(name, results[name]))
    if as_json:
        report = {"machine": machine(), "left_out": left_out, "suites": _plain(results)}
        click.echo(json.dumps(report, indent=2))


def _missing(measure: Callable[[], list[Row]]) -> str:
    """Return what the benchmark says that it lacks."""
    if isinstance(measure, Benchmark):
        try:
            measure.check()
        except UnavailableError as error:
            return str(error)
    return ""


def _plain(results: dict[str, list[Row]]) -> dict[str, list[dict[str, object]]]:
    return {name: [asdict(row) for row in rows] for name, rows in results.items()}


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
    # Three columns fit into 80 characters; what explains a figure stands under its name.
    table.add_column("figure", ratio=1)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    for row in rows:
        figure = Text(row.name)
        for explained in (row.detail, row.peer and f"beside {row.peer}"):
            if explained:
                figure.append(f"\n  {explained}", style="dim")
        table.add_row(figure, f"{row.value:.4g} {row.unit}", row.target)
    return table
