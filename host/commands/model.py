"""``ninefold model``: download the sentence-embedding model, print its folder, or make a smaller one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from ninefold.spec.terminal import printable, to_json

if TYPE_CHECKING:
    from ninefold.host.embedding.quantised import SmallestModel

__all__ = ["model"]


@click.group()
def model() -> None:
    """Download the sentence-embedding model, print its folder, or make a smaller one."""


@model.command()
def fetch() -> None:
    """Download the model (83.5 MB) unless it is present.

    Its checksums are verified.
    """
    from ninefold.host.embedding import fetch_model

    found = fetch_model(lambda sentence: click.echo(printable(sentence), err=True))
    click.echo(f"the model is in {printable(found.folder)}")


@model.command()
def path() -> None:
    """Print the folder of the model in use."""
    from ninefold.host.embedding import find_model

    click.echo(printable(find_model().folder))


@model.command()
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Write the model to this new folder."
)
@click.option(
    "--gate", type=click.Choice(["recall", "cosine"]), default="recall", show_default=True, help="Quality to keep."
)
@click.option("--source", default="stdlib", show_default=True, help="Embed texts of this source; see docs/sources.md.")
@click.option(
    "--texts", type=click.IntRange(11, 100_000), default=2000, show_default=True, help="Number of texts to embed."
)
@click.option("--threads", type=click.IntRange(1), help="Use this number of processors (default: all).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def quantise(output: Path, gate: str, source: str, texts: int, threads: int | None, as_json: bool) -> None:
    """Write the smallest model whose quality stays near the original's.

    The original is the model in use. Tries weights of 8, 6 and 4 bits, until the quality falls below 0.98, 0.96 or 0.95
    of the original's. The recall is the share of the 10 nearest texts by the original that are also nearest by the
    quantised model. Use the new model by setting NINEFOLD_MODEL to its folder. Exits with 1 if no model passes.
    """
    import numpy as np

    from ninefold.host.embedding import find_model
    from ninefold.host.embedding.quantised import SEED, smallest_model
    from ninefold.host.sources import read

    entries = read(source)
    chosen = np.random.default_rng(SEED).permutation(len(entries))[:texts]
    found = smallest_model(find_model(), [entries[at].sentence for at in chosen], output, gate, threads)
    if as_json:
        click.echo(to_json({**asdict(found), "folder": str(output) if found.folder else None}))
    else:
        _show(found, gate)
    if found.folder is None:
        raise SystemExit(1)


def _show(found: SmallestModel, gate: str) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("bits", "MB", "error", "recall@10", "cosine", "least cosine", "gate", ""):
        table.add_column(heading, justify="right")
    table.add_row("32", f"{found.original_bytes / 1e6:.1f}", "", "", "", "", "", "")
    for trial, quality in zip(found.report.trials, found.qualities, strict=True):
        figures = (quality.recall, quality.cosine, quality.least_cosine)
        table.add_row(
            str(quality.bits),
            f"{quality.nbytes / 1e6:.1f}",
            f"{quality.error:.2%}",
            *(f"{figure:.4f}" for figure in figures),
            f"{gate} >= {trial.gate.least:g}",
            "passed" if trial.passed else "failed",
        )
    Console().print(table)
    click.echo(f"stopped: {found.report.stopped}")
    if found.folder is not None:
        click.echo(f"the model of {found.report.bits} bits is in {printable(found.folder)}")
