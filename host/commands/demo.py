"""``ninefold demo``: search Python's standard library on the CPU, in RTL and on a board, and compare the hits."""

from __future__ import annotations

import importlib.util
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

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
#: Devices of each scan: the CPU, the simulated cores, and a whole simulated board behind its link; for signs, the CPU
#: and a simulated board that stores only signs.
DEVICES = {"nits": ("cpu", "rtl", "board:virtual"), "signs": ("cpu", "board:virtual/demo_signs")}
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
        different = dict.fromkeys(devices, 0)
        for question in QUESTIONS:
            for scan, names in devices.items():
                hits = {}
                for name in names:
                    with step(f"searching on {name}"):
                        options: dict[str, Any] = {"device": name, "strict": True, "scheduler": scheduler}
                        hits[name] = index.search(question, K, scan=scan, **options)
                different[scan] += (_show if scan == "nits" else _show_signs)(console, question, hits)
            console.print()
    for scan, names in devices.items():
        console.print(_verdict(scan, names, different[scan]))
    console.print(f"The demo took {duration(time.perf_counter() - start)}.")
    name = printable(index.called)
    console.print(
        f"Next: ninefold search {name} WORDS; ninefold serve {name}, and open http://127.0.0.1:8900/", markup=False
    )
    if any(different.values()):
        context.exit(1)


def _verdict(scan: str, names: list[str], different: int) -> str:
    """Return the comparison of all answers of one scan, in words."""
    *others, last = names
    if not others:
        return f"[bold]{len(QUESTIONS)} questions answered by {last} alone[/]; nothing was compared."
    together = f"{', '.join(others)} and {last}{' by signs' if scan == 'signs' else ''}"
    if different:
        return f"[bold red]{together} differ in {different} of {len(QUESTIONS)} questions[/]."
    compared = f"the {K} best hits and scores of {len(QUESTIONS)} questions"
    return f"[bold green]The answers of {together} are identical[/]: {compared}."


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


def _ready(console: Console, scheduler: Scheduler, index: Index) -> dict[str, list[str]]:
    """Run one search that is not shown on all devices at once, so that the times of later searches exclude builds.

    Returns the available devices of each scan, and prints what the others lack. A scan of signs is left out if only the
    CPU is there for it.
    """

    def prepare(device: str) -> UnavailableError | None:
        scan = next(scan for scan, names in DEVICES.items() if device in names)
        try:
            index.search(0, K, scan=scan, device=device, strict=True, scheduler=scheduler)
        except UnavailableError as error:
            return error
        return None

    names = list(dict.fromkeys(name for found in DEVICES.values() for name in found))
    # Each simulator is compiled by one process.
    with step(f"preparing {', '.join(names)}"), ThreadPoolExecutor(len(names)) as pool:
        missing = dict(zip(names, pool.map(prepare, names), strict=True))
    if (error := missing[names[0]]) is not None:
        raise error
    for device, error in missing.items():
        if error is not None:
            text = Text(printable(f"{error.what}\n{error.install}".strip(), lines=True))
            console.print(Panel(text, title=f"{device} is not available", border_style="yellow", title_align="left"))
    ready = {scan: [name for name in found if missing[name] is None] for scan, found in DEVICES.items()}
    return {scan: found for scan, found in ready.items() if scan == "nits" or len(found) > 1}


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
    console.rule(Text(question, style="bold"), align="left", characters="-")
    console.print(table)
    return _compare(console, hits, "")


def _show_signs(console: Console, _question: str, hits: dict[str, Hits]) -> bool:
    """Print the times of scans of signs; return whether any hits differ."""
    return _compare(console, hits, " by signs")


def _compare(console: Console, hits: dict[str, Hits], how: str) -> bool:
    """Print the times of each device and whether all found the same; return whether any hits differ."""
    for name, found in hits.items():
        text = printable(f"{name}{how} ({found.result.path}): {timing(found.result)}")
        console.print(text, style="dim", markup=False)
    first, *others = ([(hit.row, hit.score) for hit in found] for found in hits.values())
    differ = any(other != first for other in others)
    if others:
        same = f"[green]all {K} hits and scores{how} are identical[/]"
        console.print(f"[red]the {K} best{how} differ[/]" if differ else same)
    return differ
