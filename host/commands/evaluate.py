"""``ninefold eval``: compare an index with exact search."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json
from ninefold.spec.text import counted

from .shown import duration

if TYPE_CHECKING:
    from ninefold.host.evaluate import Evaluation

__all__ = ["evaluate", "warnings"]

#: Chance recall above which figures need a warning: the chance recall of an index of 100 entries.
_CHANCE = 0.1


@click.command()
@click.argument("name")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Search on this device of `ninefold devices`; auto lets the scheduler choose.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(name: str, device: str, as_json: bool) -> None:
    """Measure recall@10, precision@10 and NDCG@10 of the index NAME against exact float search.

    Searches for 500 entries chosen with a fixed seed, each excluded from its own hits: without reranking, reranked from
    the best 40, and with scans of signs that keep more and more rows. Vectors of zeros are not searched for, and
    entries that tie for the tenth place do not count; warnings give their numbers.
    """
    from ninefold.host.evaluate import evaluate as measure
    from ninefold.host.index import Index

    with step(f"evaluating {name}"):
        index = Index.open(name)
        found = measure(index, device)
    for text in warnings(found, len(index)):
        click.echo(f"warning: {printable(text)}", err=True)
    if as_json:
        click.echo(to_json({**index.describe(), **asdict(found)}))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "recall@10", "precision@10", "NDCG@10"):
        table.add_column(heading, justify="right" if heading else "left")
    for quality in (*found.qualities, *found.signs):
        table.add_row(quality.name, *(f"{v:.4f}" for v in (quality.recall, quality.precision, quality.ndcg)))
    console = Console()
    console.print(table)
    console.print(
        printable(
            f"{found.queries:,} of {counted(len(index), 'entry', 'entries')} searched for by {found.answered_by} "
            f"({found.path}) in {duration(found.seconds)}; mode {index.generation.mode}"
        ),
        style="dim",
        highlight=False,
        markup=False,
    )


def warnings(found: Evaluation, rows: int) -> list[str]:
    """Return warnings about properties of an index with `rows` rows that weaken its figures."""
    said = []
    if found.zero_rows:
        said.append(
            f"{found.zero_rows} of {rows} vectors are all zeros: no search finds them, and none was searched for"
        )
    if found.equal_rows:
        said.append(f"{found.equal_rows} of {rows} vectors equal another: which of them is found first is arbitrary")
    if found.undecided:
        said.append(f"{found.undecided} sampled entries were left out: ties leave them no nearest entries")
    if found.chance >= 1:
        said.append(f"{rows} entries are too few: every search finds all the others, so recall is 1 for any index")
    elif found.chance > _CHANCE:
        said.append(f"{rows} entries are few: ten picked at random reach a recall of {found.chance:.2f}")
    return said
