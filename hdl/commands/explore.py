"""``ninefold explore``: find the Pareto-optimal configurations of a board."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ninefold.spec.errors import InputError, installs, not_installed
from ninefold.spec.files import check_folders
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

if TYPE_CHECKING:
    from ninefold.hdl.explore import Exploration
    from ninefold.spec.link import Design

__all__ = ["explore"]

_SEED_MAX = 2**32 - 1
#: Exit code if a configuration could not be built.
_FAILED = 3
#: Parameters that an objective's column already shows.
_OBJECTIVE_OF = {"depth": "rows", "k": "k", "keep": "k"}


@click.command()
@click.argument("design", type=click.Choice(["miner", "signs"]))
@click.option("--board", required=True, metavar="BOARD", help="icebreaker, orangecrab, tangnano9k or ulx3s.")
@click.option(
    "--objective",
    "wanted",
    default="qps,lut",
    show_default=True,
    metavar="NAME,NAME...",
    help="Two or more of qps, engine, latency, lut, packed, ram, rows, k.",
)
@click.option(
    "-p",
    "--parameter",
    "given",
    multiple=True,
    metavar="NAME=VALUES",
    help="Search only these values, e.g. lanes=8,16 or depth=256:4096; one value fixes a parameter.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Total number of trials, including earlier runs.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, _SEED_MAX),
    help="Seed of the search [default: the study's seed, or 0 for a new study].",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for front.json, the plot, configurations and bitstreams [default: build/explore-BOARD, or "
    "build/explore-BOARD-signs].",
)
@click.option(
    "--study",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with all trials, from which a later run continues [default: study.journal in the output folder].",
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Plot, .svg or .png [default: front.svg in the output folder].",
)
@click.option("--build", "builds", type=click.IntRange(min=1), metavar="N", help="Build the N best compromises.")
@click.option("--json", "as_json", is_flag=True, help="Print the contents of front.json.")
@click.pass_context
def explore(
    ctx: click.Context,
    design: "Design",
    board: str,
    wanted: str,
    given: tuple[str, ...],
    trials: int,
    seed: int | None,
    output: Path | None,
    study: Path | None,
    plot_file: Path | None,
    builds: int | None,
    as_json: bool,
) -> None:
    """Find a board's Pareto-optimal configurations, and write each as a file that can be built.

    \b
    qps      queries per second, including the UART (maximise)
    engine   queries per second of the engine, without the UART (maximise)
    latency  latency of one query, us (minimise)
    lut      LUT4 (minimise)
    packed   logic cells after packing (minimise)
    ram      memory blocks, kbit (minimise)
    rows     rows of the store (maximise)
    k        results or candidates per query (maximise)

    miner scores all nits of rows; signs finds candidates by their signs. Lanes, window and buffers are searched.
    Dimensions, rows and k keep the values of the board's configuration in the catalogue, unless -p gives others or they
    are objectives. Figures are estimates, as printed by `ninefold estimate`. Configurations that do not fit the device
    are omitted. --build adds the figures reported by the tools. After Ctrl-C, the same command continues the search.
    """  # noqa: D301  # click interprets the character
    if importlib.util.find_spec("amaranth") is None:
        raise not_installed("amaranth", installs("explore"))
    with step(f"exploring {board}"):
        from ninefold.hdl.boards import BOARDS
        from ninefold.hdl.explore import Exploration, objectives, space
        from ninefold.hdl.explore.report import check_plot, plot, write_configurations, write_report

        if board not in BOARDS:
            raise InputError(f"the board must be one of {', '.join(BOARDS)}, not {board!r}")
        chosen = objectives(wanted, BOARDS[board], design)
        searched = space(board, chosen, _values(given), design)
        named = f"explore-{board}" if design == "miner" else f"explore-{board}-{design}"
        folder = Path("build") / named if output is None else output
        drawn = folder / "front.svg" if plot_file is None else plot_file
        check_plot(drawn)
        check_folders(plot_file)
        folder.mkdir(parents=True, exist_ok=True)
        exploration = Exploration(searched, chosen, folder / "study.journal" if study is None else study, seed)
        _search(exploration, trials)
        files = write_configurations(exploration, folder)
        if builds is not None:
            _build(exploration, files, builds, folder)
        found = write_report(exploration, folder / "front.json")
        plot(exploration, drawn)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found, folder, drawn)
    if any("error" in (record["built"] or {}) for record in found["front"]):
        ctx.exit(_FAILED)


def _values(given: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"a parameter must be NAME=VALUES, not {text!r}")
        if name in values:
            raise InputError(f"{name} must be given once, not {values[name]} and {value}")
        values[name] = value
    return values


def _search(exploration: "Exploration", trials: int) -> None:
    left = exploration.wanted(trials) - exploration.finished
    if left <= 0:
        click.echo(f"{printable(exploration.path)} already has {counted(exploration.finished, 'trial')}", err=True)
        return
    if exploration.finished:
        click.echo(
            f"continuing after {counted(exploration.finished, 'trial')} of {printable(exploration.path)}", err=True
        )
    with step("trying configurations", left) as trying:
        exploration.run(trials, lambda _: trying.advance())


def _build(exploration: "Exploration", files: Mapping[str, Path], builds: int, folder: Path) -> None:
    """Build the best `builds` configurations, except those built already, and record each result."""
    from ninefold.hdl.explore.built import build_one
    from ninefold.hdl.explore.report import ranked

    for name in ranked(exploration)[:builds]:
        if name not in exploration.built:
            with step(f"building {name}", 3) as building:
                exploration.record(name, build_one(files[name], folder, building.advance))


def _show(found: Mapping[str, Any], folder: Path, drawn: Path) -> None:
    trials = found["trials"]
    names = [objective["name"] for objective in found["objectives"]]
    if not found["front"]:
        choices, near = found["space"]["choices"], found["nearest"]
        if found["space"]["whole"]:
            click.echo(f"no choice of {choices:,} fits {found['device']}")
        else:
            click.echo(f"no choice tried fits {found['device']}: tried {trials['different']:,} of {choices:,}")
        if near is not None:
            shown = ", ".join(f"{name} {value}" for name, value in near["parameters"].items())
            click.echo(f"nearest: {shown}, which needs {near['needs']}")
        return
    fixed = {name: value for name, value in found["front"][0]["parameters"].items() if name not in found["searched"]}
    title = f"{found['board']}, {found['device']}: {', '.join(f'{name} {value}' for name, value in fixed.items())}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    searched = [name for name in found["searched"] if _OBJECTIVE_OF.get(name) not in names]
    for heading in ("", *searched):
        table.add_column(heading.replace("_", "\n"), justify="right")
    for objective in found["objectives"]:
        table.add_column(f"{objective['name']}\n{objective['unit']}", justify="right", no_wrap=True)
    table.add_column("configuration", no_wrap=True)
    for record in sorted(found["front"], key=lambda record: int(record["rank"])):
        parameters = (str(record["parameters"][name]) for name in searched)
        values = (_with_ratio(record, name) for name in names)
        table.add_row(str(record["rank"]), *parameters, *values, record["name"].partition("/")[2])
    Console().print(table)
    for record in sorted(found["front"], key=lambda record: int(record["rank"])):
        if record["built"]:
            click.echo(_outcome(record))
    best = min(found["front"], key=lambda record: record["rank"])
    click.echo(_effort(found))
    click.echo(printable(f"{folder / 'front.json'}, {drawn}"))
    click.echo(printable(f"best compromise: ninefold build {folder / best['file']}"))


def _effort(found: Mapping[str, Any]) -> str:
    """Return a summary of the estimates and builds."""
    trials, choices, front = found["trials"], found["space"]["choices"], found["front"]
    built = sum(record["built"] is not None and "error" not in record["built"] for record in front)
    kept = f"{counted(trials['finished'], 'trial')} in the study, {trials['fitting']:,} of their configurations fit"
    if found["space"]["whole"]:
        every = "the only choice" if choices == 1 else f"all {choices:,} choices"
        estimated = f"estimated {every}, so the front is complete ({kept})"
    else:
        estimated = f"estimated {trials['different']:,} of {choices:,} choices ({kept})"
    return f"{estimated}; built {built} of the {len(front)} on the front"


def _with_ratio(record: Mapping[str, Any], name: str) -> str:
    value = record["estimate"][name]
    ratio = (record["built"] or {}).get("ratio", {}).get(name)
    shown = f"{value:,.0f}"
    return shown if ratio is None else f"{shown}\nbuilt {record['built']['values'][name]:,.0f} ({ratio:.2f})"


def _outcome(record: Mapping[str, Any]) -> str:
    built = record["built"]
    if "error" in built:
        return f"{record['name']} could not be built: {built['error']}"
    verdict = "met" if built["timing_met"] else "MISSED"
    front = "" if built["on_front"] else "; dominated by another built configuration"
    return f"{record['name']}: {built['fmax_mhz']:.2f} MHz, timing {verdict}, built in {built['seconds']:.0f} s{front}"
