"""``ninefold index``: make an index of texts or vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ninefold.spec.formats import MODES, Mode
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

from .shown import duration

if TYPE_CHECKING:
    from ninefold.host.index import Built

__all__ = ["index", "summary"]


@click.command()
@click.argument("source")
@click.option("-o", "--output", "name", required=True, help="Name in the data folder, or a path with a / in it.")
@click.option("--column", "--field", "column", help="CSV column or JSON field that holds the text [default: text].")
@click.option("--mode", type=click.Choice(MODES), help="Thresholds of the quantiser [default: linear].")
@click.option("--no-vectors", is_flag=True, help="Keep no float16 vectors; then there is no reranking and no eval.")
@click.option("--strict", is_flag=True, help="Refuse what would be skipped, with its reason.")
@click.option("--force", is_flag=True, help="Replace an index of that name, once the new one is complete.")
def index(
    source: str, name: str, column: str | None, mode: Mode | None, no_vectors: bool, strict: bool, force: bool
) -> None:
    """Index SOURCE so that `ninefold search` finds its entries by meaning.

    SOURCE is stdlib (the documentation of Python's standard library), a folder or file of text or Markdown, JSON lines
    (.jsonl, .ndjson), CSV (.csv, .tsv), or vectors (.npy of floats, one row an entry). An entry of text is a run of
    paragraphs under one heading, up to 800 characters; longer paragraphs are split. Of one text the model reads 256
    tokens, some 200 words of English. What cannot be indexed is skipped and counted with its reason (docs/sources.md).

    Ctrl-C, a kill or a full disk loses no finished embedding: run the same command again to continue. NAME leads to the
    old index until the new one is whole; searches that have the old one open keep it.
    """
    with step(f"indexing {source}"):
        from ninefold.host.index.write import DEFAULT_MODE, build

        built = build(
            source,
            name,
            column=column,
            mode=mode or DEFAULT_MODE,
            vectors=not no_vectors,
            force=force,
            strict=strict,
        )
    click.echo(summary(built))
    for line in built.skipped.lines():
        click.echo(f"  {line}", err=True)


def summary(built: Built) -> str:
    """Return what was made and how long it took, in two lines that are safe to print."""
    manifest = built.manifest
    size = sum(record.bytes for record in manifest.files.values())
    times = ", ".join(f"{name} {duration(seconds)}" for name, seconds in built.seconds.items())
    skipped = f", {built.skipped.count} skipped" if built.skipped.count else ""
    if others := built.skipped.others:
        skipped += f", {counted(others, 'file')} of other kinds skipped"
    if hidden := built.skipped.hidden:
        skipped += f", {counted(hidden, 'hidden name')} skipped"
    rows, dimensions = counted(manifest.rows, "entry", "entries"), counted(manifest.dimensions, "dimension")
    return (
        f"{printable(built.folder)}: {rows}{skipped}, {dimensions}, {size / 1e6:.1f} MB, mode {manifest.mode}, "
        f"scale {manifest.scale:.4g}\n  {times}"
    )
