"""``ninefold demo``: search Python's standard library on the CPU, in RTL and on a board, and compare the hits."""

from __future__ import annotations

import importlib.util
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ninefold.spec.errors import DamagedDataError, InputError, UnavailableError
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

from .index import summary
from .shown import duration, snippet, timing

if TYPE_CHECKING:
    from ninefold.host.index import Hits, Index
    from ninefold.host.scheduler import Scheduler

__all__ = ["QUESTIONS", "demo"]

QUESTIONS = (
    "copy a file and keep its timestamps",
    "make a temporary folder that is deleted afterwards",
    "compare two folders",
)
#: The CPU, the simulated cores, and a whole simulated board behind its link.
DEVICES = ("cpu", "rtl", "board:virtual")
#: Number of hits compared, number of hits shown, and number of devices shown side by side.
K, SHOWN, COLUMNS = 10, 5, 2


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Search Python's standard library by meaning on the CPU, in RTL and on a simulated board, and compare the hits.

    Sets up the model, the index and the simulators first if they are missing; later runs reuse them. Exits with 1 when
    the devices differ.
    """
    from ninefold.host.embedding import fetch_model
    from ninefold.host.scheduler import Scheduler

    start = time.perf_counter()
    console = Console(highlight=False)
    for package in ("openvino", "safetensors", "tokenizers"):
        if importlib.util.find_spec(package) is None:  # before anything is downloaded
            raise UnavailableError(f"the demo needs {package}", "pip install 'ninefold[demo]'")
    fetch_model(lambda sentence: console.print(printable(sentence), markup=False))
    index = _index(console)
    with Scheduler() as scheduler:
        devices = _ready(console, scheduler, index)
        different = 0
        for question in QUESTIONS:
            hits = {}
            for name in devices:
                with step(f"searching on {name}"):
                    hits[name] = index.search(question, K, device=name, strict=True, scheduler=scheduler)
            different += _show(console, question, hits)
    took = duration(time.perf_counter() - start)
    *others, last = devices
    together = f"{', '.join(others)} and {last}"
    if not others:
        console.print(f"[bold]{len(QUESTIONS)} questions answered by {last} alone[/]; nothing was compared. {took}")
    elif different:
        console.print(f"[bold red]{together} differ in {different} of {len(QUESTIONS)} questions[/] {took}")
        context.exit(1)
    else:
        compared = f"the {K} best hits and scores of {len(QUESTIONS)} questions"
        console.print(f"[bold green]The answers of {together} are identical[/]: {compared}. The demo took {took}.")


def _index(console: Console) -> Index:
    from ninefold.host.index import Index, build
    from ninefold.host.index.embedding import embedder

    # The documentation depends on the version of Python.
    name = f"stdlib-{sys.version_info.major}.{sys.version_info.minor}"
    try:
        index = Index.open(name)
    except InputError:
        console.print("indexing the documentation of Python's standard library (once)")
    except DamagedDataError as error:
        console.print(printable(f"{error}: rebuilding now"), markup=False)
    else:
        if index.manifest.model == embedder().model.digest:
            console.print(
                f"index {printable(index.folder)}: {counted(len(index), 'entry', 'entries')}",
                markup=False,
                soft_wrap=True,
            )
            return index
        console.print("the index was built with another model: rebuilding it")
    built = build("stdlib", name, force=True)
    console.print(summary(built), markup=False, soft_wrap=True)
    return Index.open(name)


def _ready(console: Console, scheduler: Scheduler, index: Index) -> list[str]:
    """Run one search that is not shown on all devices at once, so that the times of later searches exclude builds.

    Returns the available devices, and prints what the others lack.
    """

    def prepare(device: str) -> UnavailableError | None:
        try:
            index.search(0, K, device=device, strict=True, scheduler=scheduler)
        except UnavailableError as error:
            return error
        return None

    # Each simulator is compiled by one process.
    with step(f"preparing {', '.join(DEVICES)}"), ThreadPoolExecutor(len(DEVICES)) as pool:
        missing = dict(zip(DEVICES, pool.map(prepare, DEVICES), strict=True))
    if (error := missing[DEVICES[0]]) is not None:
        raise error
    for device, error in missing.items():
        if error is not None:
            text = Text(printable(f"{error.what}\n{error.install}".strip(), lines=True))
            console.print(Panel(text, title=f"{device} is not available", border_style="yellow", title_align="left"))
    return [device for device, error in missing.items() if error is None]


def _show(console: Console, question: str, hits: dict[str, Hits]) -> bool:
    """Print the best hits of the first devices side by side, with their times; return whether any differ."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", no_wrap=True, min_width=1)
    shown = list(hits)[:COLUMNS]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
        table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for rank in range(SHOWN):
        cells = [Text(str(rank + 1))]
        for name in shown:
            hit = hits[name].hits[rank]
            cells += [Text(str(hit.score), style="cyan"), Text(snippet(hit.entry.id))]
        table.add_row(*cells)
    first, *others = ([(hit.row, hit.score) for hit in found] for found in hits.values())
    differ = any(other != first for other in others)
    console.rule(Text(question, style="bold"), align="left", characters="-")
    console.print(table)
    for name, found in hits.items():
        console.print(printable(f"{name} ({found.result.path}): {timing(found.result)}"), style="dim", markup=False)
    if others:
        console.print(f"[red]the {K} best differ[/]" if differ else f"[green]all {K} hits and scores are identical[/]")
    console.print()
    return differ
