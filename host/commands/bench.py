"""``ninefold bench``: run the benchmarks of the installed packages beside their peers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from ninefold.spec.benchmark import BENCHMARKS, SIZES, Benchmark, Figure, Request, Size
from ninefold.spec.errors import InputError, UnavailableError, UnsupportedError
from ninefold.spec.files import check_folders, written_aside
from ninefold.spec.progress import Step, step
from ninefold.spec.registry import entries
from ninefold.spec.terminal import printable

if TYPE_CHECKING:
    from ninefold.host.bench.compare import Comparison
    from ninefold.host.bench.records import Run

__all__ = ["bench"]

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("suites", nargs=-1)
@click.option(
    "--device", "devices", multiple=True, help="Measure this device; may be repeated [default: chosen by each suite]."
)
@click.option(
    "--size",
    type=click.Choice(SIZES),
    default="small",
    show_default=True,
    help="Size of the databases: seconds, minutes or hours of measuring.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Maximum threads of devices and peers [default: number of processors].",
)
@click.option(
    "--json",
    "as_json",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write the figures to this file; - is stdout.",
)
@click.option(
    "--data",
    default="",
    help="Vectors for search, store, bounded and waves: a .npy file, a folder with one, or the name of an index.",
)
@click.option("--html", type=_FILE, help="Write the report to FILE.html, and its charts as PNG files next to it.")
@click.option(
    "--compare",
    "earlier",
    type=_FILE,
    help="Compare with an earlier run's JSON; exit with 1 for a regression.",
)
@click.option("--any-machine", is_flag=True, help="Allow comparison with a run on another machine.")
@click.option(
    "--list", "listing", is_flag=True, help="List the suites and their missing requirements, without measuring."
)
@click.pass_context
def bench(
    context: click.Context,
    suites: tuple[str, ...],
    devices: tuple[str, ...],
    size: Size,
    threads: int | None,
    as_json: Path | None,
    data: str,
    html: Path | None,
    earlier: Path | None,
    any_machine: bool,
    listing: bool,
) -> None:
    """Measure SUITES (default: all) and print each figure with its target and its ratio to a peer.

    Times are medians of interleaved repetitions in this run on this machine, with the distance of their quartiles. The
    requirements of all suites are checked before any suite runs. Without SUITES, suites that lack a requirement are
    skipped.
    """
    from ninefold.host.backends.cpu.paths import default_threads
    from ninefold.host.bench.compare import compare
    from ninefold.host.bench.records import Run
    from ninefold.host.bench.tables import print_comparison, print_targets, print_tasks

    measures = _chosen(suites, devices)
    if listing:
        for name, measure in measures.items():
            click.echo(printable(f"{name:12} {_missing(measure) or 'ready'}"))
        return
    if html is not None and html.suffix not in (".html", ".htm"):
        raise InputError(f"the report's name must end in .html, not {html.name!r}")
    check_folders(as_json, html)
    before = None if earlier is None else Run.from_json(earlier.read_bytes(), str(earlier))
    if html is not None:
        from ninefold.host.bench.report import check

        check()
    console = Console(stderr=as_json == Path("-"))
    request = Request(
        size, devices, threads or default_threads(), trace=html and html.with_suffix(".trace.json"), data=data
    )
    if before is not None:
        compare(before, _run(request, {}, {}, []), any_machine=any_machine)  # fails before anything is measured
        if suites and not before.suites.keys() & measures.keys():
            there = ", ".join(before.suites) or "none"
            raise InputError(f"the earlier run must contain one of the suites {', '.join(suites)}, not only {there}")
    with step("measuring", len(measures)) as measuring:
        run = _measure(console, measures, request, measuring, strict=bool(suites))
    print_tasks(console, run.suites)
    print_targets(console, run.suites)
    found = None if before is None else compare(before, run, any_machine=any_machine)
    if found is not None:
        print_comparison(console, found)
    _write(run, found, as_json, html, request.trace)
    if found is not None and found.regressions:
        context.exit(1)


def _chosen(suites: tuple[str, ...], devices: tuple[str, ...]) -> dict[str, Benchmark]:
    """Return the benchmarks by name; without names, the ones that measure one of the devices."""
    found = entries(BENCHMARKS)
    for name in suites:
        if name not in found:
            raise InputError(f"suite must be one of {', '.join(found)}, not {name!r}")
    measures: dict[str, Benchmark] = {name: found[name].load() for name in suites or found}
    for name in suites:
        if not measures[name].measures(devices):
            raise InputError(f"the suite {name} does not measure {', '.join(devices)}")
    return {name: measure for name, measure in measures.items() if measure.measures(devices)}


def _measure(console: Console, measures: dict[str, Benchmark], request: Request, measuring: Step, strict: bool) -> Run:
    """Run the benchmarks and print their tables; with `strict`, a missing requirement ends the run."""
    from dataclasses import replace

    from ninefold.host.bench.tables import figures as table

    left_out = {name: reason for name, measure in measures.items() if (reason := _missing(measure))}
    if left_out and strict:
        raise UnavailableError("; ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    for name, reason in left_out.items():
        click.echo(printable(f"skipped: {name}: {reason}", lines=True), err=True)
    notes: list[str] = []

    def note(sentence: str) -> None:
        if sentence not in notes:
            notes.append(sentence)
            click.echo(printable(f"note: {sentence}"), err=True)

    asked = replace(request, note=note)
    results: dict[str, tuple[Figure, ...]] = {}
    for name in [name for name in measures if name not in left_out]:
        try:
            with step(f"{name} ({request.size})"):
                results[name] = tuple(measures[name](asked))
        except (UnavailableError, UnsupportedError) as error:  # a named device may lack an operator of a suite
            if strict:
                raise
            left_out[name] = str(error)
            click.echo(printable(f"skipped: {name}: {error}", lines=True), err=True)
        else:
            console.print(table(name, results[name]))
        measuring.advance()
    return _run(request, results, left_out, notes)


def _run(request: Request, suites: dict[str, tuple[Figure, ...]], left_out: dict[str, str], notes: list[str]) -> Run:
    from ninefold.host.bench.machine import machine, packages, revision
    from ninefold.host.bench.records import SCHEMA, Run

    return Run(
        schema=SCHEMA,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        size=request.size,
        threads=request.threads,
        commit=revision(),
        machine=machine(),
        packages=packages(),
        suites=suites,
        left_out=left_out,
        notes=tuple(notes),
    )


def _write(run: Run, found: Comparison | None, as_json: Path | None, html: Path | None, trace: Path | None) -> None:
    if as_json == Path("-"):
        sys.stdout.write(run.to_json())
    elif as_json is not None:
        with written_aside(as_json) as file:
            file.write_text(run.to_json(), encoding="utf-8")
    if html is not None:
        from ninefold.host.bench.report import write

        timeline = [trace] if trace is not None and trace.exists() else []
        for path in [*write(run, html, found, *timeline), *timeline]:
            click.echo(f"wrote {printable(path)}", err=True)


def _missing(measure: Benchmark) -> str:
    """Return the missing requirement of a benchmark; empty if it can run."""
    try:
        measure.check()
    except UnavailableError as error:
        return str(error)
    return ""
