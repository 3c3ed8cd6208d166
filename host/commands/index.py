"""``ninefold index``: build an index of texts or vectors."""

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
@click.option(
    "-o", "--output", "name", required=True, help="Name of the index in the data folder, or a path that contains a /."
)
@click.option("--column", "--field", "column", help="Index the text of this CSV column or JSON field [default: text].")
@click.option("--mode", type=click.Choice(MODES), help="Quantise with these thresholds [default: linear].")
@click.option(
    "--no-vectors", is_flag=True, help="Do not keep float16 vectors; this saves space but disables reranking and eval."
)
@click.option("--strict", is_flag=True, help="Fail on the first entry that would be skipped, with its reason.")
@click.option("--force", is_flag=True, help="Replace an existing index of that name once the new one is complete.")
def index(
    source: str, name: str, column: str | None, mode: Mode | None, no_vectors: bool, strict: bool, force: bool
) -> None:
    """Index SOURCE so that `ninefold search` finds its entries by meaning.

    SOURCE is stdlib (the documentation of Python's standard library), a folder or file of text or Markdown, JSON lines
    (.jsonl, .ndjson), CSV (.csv, .tsv), or vectors (.npy of floats, one row per entry). An entry of text is a run of
    paragraphs under one heading, up to 800 characters; longer paragraphs are split. The model reads the first 256
    tokens of an entry, about 200 English words. Entries that cannot be indexed are skipped and counted by reason
    (docs/sources.md).

    Ctrl-C, a kill or a full disk loses no finished embedding: run the same command again to continue. With --force, the
    old index stays in place until the new one is complete, and searches that have it open can finish.
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
    """Return a summary of the index and the times, in two lines that are safe to print."""
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
