"""``ninefold eval``: compare an index with exact search."""

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from .shown import duration, progress_bar

__all__ = ["evaluate"]


@click.command()
@click.argument("name")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, rtl, ...")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(name: str, device: str, as_json: bool) -> None:
    """Measure recall@10, precision@10 and NDCG@10 of the index NAME against exact float search.

    500 seeded entries are searched, each with itself left out; plain, and reranked from the best 40.
    """
    from ninefold.host.evaluate import evaluate as measure
    from ninefold.host.index import Index

    index = Index.open(name)
    with progress_bar() as progress:
        found = measure(index, device, progress)
    if as_json:
        click.echo(json.dumps({**index.describe(), **asdict(found)}, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "recall@10", "precision@10", "NDCG@10"):
        table.add_column(heading, justify="right" if heading else "left")
    for quality in found.qualities:
        table.add_row(quality.name, *(f"{v:.4f}" for v in (quality.recall, quality.precision, quality.ndcg)))
    console = Console()
    console.print(table)
    console.print(
        f"{found.queries} of {len(index)} entries searched by {found.answered_by} ({found.path}) in "
        f"{duration(found.seconds)}; mode {index.manifest.mode}",
        style="dim",
        highlight=False,
        markup=False,
    )
