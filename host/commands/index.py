"""``ninefold index``: build, change and inspect indexes of texts or vectors."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.errors import NinefoldError
from ninefold.spec.formats import MODES, Mode
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json
from ninefold.spec.text import counted

from .backups import backup, backups, restore
from .shown import duration

if TYPE_CHECKING:
    from ninefold.host.index import Built, Index
    from ninefold.host.index.status import Fit
    from ninefold.host.index.update import Updated
    from ninefold.host.sources import Skipped

__all__ = ["index", "summary"]

#: Merged entries that ``info`` names.
_SHOWN = 5


class _Sources(click.Group):
    """Group whose commands may be left out: what is no command is the source of ``build``."""

    def parse_args(self, context: click.Context, words: list[str]) -> list[str]:
        first = next((word for word in words if not word.startswith("-") or word in ("-h", "--help")), None)
        if words and first not in (*self.commands, "-h", "--help"):
            words = ["build", *words]
        return super().parse_args(context, words)


@click.group(cls=_Sources, subcommand_metavar="SOURCE -o NAME | COMMAND [ARGS]...")
def index() -> None:
    """Index SOURCE so that `ninefold search` finds its entries by meaning, or run a COMMAND on an index.

    `ninefold index SOURCE -o NAME` is short for `ninefold index build SOURCE -o NAME`. A source that is called like a
    command is written with a slash, such as ./list.
    """


_JSON = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
_COLUMN = click.option("--column", help="Index the text of this CSV column or JSON field [default: text].")
_STRICT = click.option("--strict", is_flag=True, help="Fail on the first entry that would be skipped, with its reason.")


@index.command()
@click.argument("source")
@click.option(
    "-o", "--output", "name", required=True, help="Name of the index in the data folder, or a path that contains a /."
)
@_COLUMN
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME:TYPE",
    help="Keep this field (or CSV column) of entries as int, float, str or bool, for fast filters; may be repeated.",
)
@click.option("--mode", type=click.Choice(MODES), help="Quantise with these thresholds [default: linear].")
@click.option(
    "--no-vectors", is_flag=True, help="Do not keep float16 vectors; this saves space but disables reranking and eval."
)
@_STRICT
@click.option("--force", is_flag=True, help="Replace an existing index of that name once the new content is complete.")
@click.option("--update", "updating", is_flag=True, help="Add what is new to an existing index, and replace changes.")
@click.option("--delete", is_flag=True, help="With --update, also remove the entries that SOURCE does not hold.")
@click.option(
    "--max-entries",
    type=click.IntRange(min=1),
    metavar="N",
    help="Hold at most N entries; later ones take the places of little used ones. --force forgets it.",
)
def build(
    source: str,
    name: str,
    column: str | None,
    fields: tuple[str, ...],
    mode: Mode | None,
    no_vectors: bool,
    strict: bool,
    force: bool,
    updating: bool,
    delete: bool,
    max_entries: int | None,
) -> None:
    """Index SOURCE, so that its entries are found by meaning.

    SOURCE is stdlib (the documentation of Python's standard library), a folder or file of text or Markdown, JSON lines
    (.jsonl, .ndjson), CSV (.csv, .tsv), vectors (.npy of floats, one row per entry), or context vectors (.bin, Vector6D
    records). An entry of text is a run of paragraphs under one heading, up to 800 characters; longer paragraphs are
    split. The model reads the first 256 tokens of an entry, about 200 English words. Entries that cannot be indexed are
    skipped and counted by reason (docs/sources.md).

    Ctrl-C, a kill or a full disk loses no finished embedding: run the same command again to continue. With --force, the
    old content stays in place until the new one is complete, and searches that have it open can finish. With --update,
    only new and changed entries are embedded and written, in one commit.
    """
    if updating:
        kept = ("--mode", mode), ("--no-vectors", no_vectors), ("--force", force), ("--field", fields)
        for option, given in kept:
            if given:
                raise click.UsageError(f"--update keeps what the index was built with; leave out {option}")
    elif delete:
        raise click.UsageError("--delete needs --update")
    with step(f"indexing {source}"):
        from ninefold.host.index.update import update
        from ninefold.host.index.write import DEFAULT_MODE
        from ninefold.host.index.write import build as build_index
        from ninefold.host.sources import DeclaredField

        if updating:
            updated = update(source, name, column=column, delete=delete, strict=strict, max_entries=max_entries)
            click.echo(_changes(updated))
            _report(updated.skipped)
            return
        built = build_index(
            source,
            name,
            column=column,
            fields=[DeclaredField.parse(field) for field in fields],
            mode=mode or DEFAULT_MODE,
            vectors=not no_vectors,
            force=force,
            strict=strict,
            max_entries=max_entries,
        )
    click.echo(summary(built))
    _report(built.skipped)


@index.command()
@click.argument("name")
@click.argument("source")
@_COLUMN
@_STRICT
def add(name: str, source: str, column: str | None, strict: bool) -> None:
    """Add the entries of SOURCE to the index NAME.

    An entry whose id is there already replaces the old one.
    """
    with step(f"adding {source} to {name}"):
        from ninefold.host.index.update import update

        updated = update(source, name, column=column, strict=strict)
    click.echo(_changes(updated))
    _report(updated.skipped)


@index.command()
@click.argument("name")
@click.argument("ids", nargs=-1, required=True)
def remove(name: str, ids: tuple[str, ...]) -> None:
    """Remove the entries with these IDS from the index NAME.

    - in place of the ids reads them from standard input, one a line.
    """
    from ninefold.host.index import Index

    wanted = _ids(ids)
    with Index.open(name, "w") as opened:
        absent = _absent(opened, wanted)
        written = opened.delete(wanted)
        click.echo(printable(f"{opened.called}: {counted(written.removed, 'entry', 'entries')} removed{absent}"))


def _ids(given: tuple[str, ...]) -> list[str]:
    """Return the ids of a command, read from standard input for -."""
    return sys.stdin.read().splitlines() if given == ("-",) else [*given]


def _absent(opened: Index, wanted: list[str]) -> str:
    """Return what a command says about ids without an entry."""
    with opened.snapshot() as before:
        absent = [name for name in dict.fromkeys(wanted) if before.get(name) is None]
    return f"; not found: {', '.join(absent)}" if absent else ""


@index.command("list")
@_JSON
def list_indexes(as_json: bool) -> None:
    """List the indexes in the data folder."""
    from ninefold.host.index import Index
    from ninefold.host.index.manifest import indexes
    from ninefold.host.index.status import status_of

    found: list[dict[str, Any]] = []
    for folder in indexes():
        try:
            with Index.open(str(folder)) as opened:
                found.append({"name": folder.name, **status_of(opened)})
        except (NinefoldError, OSError) as error:
            found.append({"name": folder.name, "error": str(error)})
    if as_json:
        click.echo(to_json(found))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("index", "entries", "MB", "generation", "segments", "dead", "source"):
        table.add_column(heading, justify="left" if heading in ("index", "source") else "right")
    for one in found:
        if "error" in one:
            table.add_row(Text(printable(one["name"])), "", "", "", "", "", Text(printable(one["error"])))
            continue
        figures = (f"{one['rows']:,}", f"{one['bytes'] / 1e6:.1f}", str(one["generation"]), str(len(one["segments"])))
        source = Text(printable(one["source"]))
        table.add_row(Text(printable(one["name"])), *figures, f"{one['dead_share']:.1%}", source)
    Console().print(table)


@index.command()
@click.argument("name")
@_JSON
def info(name: str, as_json: bool) -> None:
    """Show the state of the index NAME, and what would improve it."""
    from ninefold.host.index import Index
    from ninefold.host.index.status import fit_of, status_of

    with step(f"inspecting {name}"), Index.open(name) as opened:
        status, fit = status_of(opened), fit_of(opened)
        with opened.snapshot() as snapshot:
            merged = dict(snapshot.redirects())
    if as_json:
        fitting = {"recall": fit.recall, "best_recall": fit.best_recall, "drifted": fit.drifted}
        click.echo(to_json({**status, "merged": merged, "fit": {**fitting, "lacks_clusters": fit.lacks_clusters}}))
        return
    for line in (*_contents(status), *_merged(merged), *_advice(name, fit)):
        click.echo(printable(line))


def _contents(status: dict[str, Any]) -> Iterator[str]:
    """Yield the lines about what an index consists of."""
    entries, dimensions = counted(status["rows"], "entry", "entries"), counted(status["dimensions"], "dimension")
    kept = "nits and float vectors" if status["vectors"] else "nits without float vectors"
    yield f"{status['index']}: {entries} of {dimensions}, {status['bytes'] / 1e6:.1f} MB in {status['folder']}"
    yield f"source: {status['source']}" + (f", embedded by model {status['model'][:12]}" if status["model"] else "")
    clusters = "with clusters" if status["clusters"] else "without clusters"
    scale = f"mode {status['mode']}, scale {status['scale']:.4g}"
    yield f"generation {status['generation']}: {scale}, {kept}, {clusters}"
    if status["contexts"]:
        yield "context vectors: `ninefold search --context FILE` compares whole records"
    if status["fields"]:
        yield "columns of fields: " + ", ".join(f"{name}:{kind}" for name, kind in status["fields"].items())
    if (bound := status["bound"]) is not None:
        kept = f"the newest {bound['nursery']:,} are a nursery, {bound['used']:,} were found by searches"
        yield f"at most {bound['max_entries']:,} entries: {kept}, {bound['anchored']:,} are anchored"
    if status["best_recall"] is not None:
        yield f"best recall of its settings, when the generation was made: {status['best_recall']:.4f}"
    tail = counted(status["tail"], "entry", "entries")
    segments = counted(len(status["segments"]), "segment")
    yield f"{segments}, {status['dead_share']:.1%} of their rows dead; {tail} in the tail"
    for one in status["segments"]:
        size = f"{one['bytes'] / 1e6:.1f} MB"
        yield f"segment {one['digest'][:12]}: {counted(one['rows'], 'row')}, {one['dead']:,} dead, {size}"


def _merged(merged: dict[str, str]) -> Iterator[str]:
    """Yield the lines about merged entries."""
    if merged:
        some = ", ".join(f"{name} -> {kept}" for name, kept in list(merged.items())[:_SHOWN])
        more = f" and {len(merged) - _SHOWN:,} more (--json lists all)" if len(merged) > _SHOWN else ""
        yield f"{counted(len(merged), 'near duplicate')} merged into others: {some}{more}"


def _advice(name: str, fit: Fit) -> Iterator[str]:
    """Yield the lines about how a generation fits the entries."""
    if fit.recall is not None and fit.best_recall is not None:
        found = f"recall {fit.recall:.3f} by nits alone on a sample of entries"
        best = f"{fit.best_recall:.3f} by the scale that would be chosen now"
        yield f"the scale {'has drifted' if fit.drifted else 'fits'}: {found}, {best}"
    if fit.lacks_clusters:
        yield "this generation has no clusters, with which an index of this size is searched faster"
    if not fit.fits:
        yield f"`ninefold index recalibrate {name}` makes a new generation"


@index.command()
@click.argument("name")
@click.argument("ids", nargs=-1, required=True)
@click.option("--release", is_flag=True, help="Let the entries be evicted and merged again.")
def anchor(name: str, ids: tuple[str, ...], release: bool) -> None:
    """Keep entries with these IDS in a bounded index NAME.

    An anchored entry is never evicted, nor merged into another. - in place of the ids reads them from standard input,
    one a line.
    """
    from ninefold.host.index import Index

    wanted = _ids(ids)
    with Index.open(name, "w") as opened:
        absent = _absent(opened, wanted)
        changed = opened.anchor(wanted, anchored=not release)
        done = "released" if release else "anchored"
        click.echo(printable(f"{opened.called}: {counted(changed, 'entry', 'entries')} {done}{absent}"))


@index.command()
@click.argument("name")
@click.option(
    "--merge",
    "overlap",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="OVERLAP",
    help="Merge entries whose squared cosine is at least OVERLAP, such as 0.95.",
)
def compact(name: str, overlap: float | None) -> None:
    """Merge the segments of the index NAME into one.

    Dead rows are left out. An index of an older format is converted. With --merge, the ids of merged entries answer the
    entry that was kept.
    """
    from ninefold.host.index import Index
    from ninefold.host.index.convert import convert

    start = time.perf_counter()
    with step(f"compacting {name}"):
        converted = convert(name)
        with Index.open(name, "w") as opened:
            merged = None if overlap is None else opened.merge_duplicates(overlap)
            opened.compact()
            rows, called = len(opened), opened.called
    said = f"{called}: {counted(rows, 'entry', 'entries')} in one segment after {duration(time.perf_counter() - start)}"
    click.echo(printable(said))
    if merged is not None:
        click.echo(f"{counted(merged, 'near duplicate')} merged into others")
    for line in converted:
        click.echo(printable(line))


@index.command()
@click.argument("name")
@click.option("--mode", type=click.Choice(MODES), help="Quantise with these thresholds [default: as before].")
def recalibrate(name: str, mode: Mode | None) -> None:
    """Choose scale and clusters of the index NAME again.

    All entries are quantised again, which makes a new generation. Needed when `ninefold index info` says that the scale
    has drifted, or that the index has no clusters. Searches continue with the old generation until the new one is
    complete; after an interruption it is still there.
    """
    with step(f"recalibrating {name}"):
        from ninefold.host.index.recalibrate import recalibrate as recalibrate_index

        done = recalibrate_index(name, mode=mode)
    before, after = done.before, done.after
    clusters = "without clusters" if after.centroid_scale is None else "with clusters"
    recalls = [max((s.recall for s in one.settings), default=None) for one in (before, after)]
    recall = f", best recall {recalls[0]} -> {recalls[1]}" if None not in recalls else ""
    click.echo(
        printable(
            f"{name}: generation {after.number} of {counted(done.rows, 'entry', 'entries')} {clusters} after "
            f"{duration(done.seconds)}: mode {after.mode}, scale {before.scale:.4g} -> {after.scale:.4g}{recall}"
        )
    )


@index.command()
@click.argument("name")
def verify(name: str) -> None:
    """Compare all content of the index NAME with its checksums."""
    from ninefold.host.index import Index

    with step(f"verifying {name}"), Index.open(name) as opened:
        opened.verify()
        click.echo(printable(f"{opened.called}: {counted(len(opened), 'entry', 'entries')}, no damage"))


@index.command()
@click.argument("name")
@click.confirmation_option("--yes", prompt="Remove the index and all its entries?", help="Do not ask.")
def drop(name: str) -> None:
    """Remove the index NAME and all its entries. Searches that have it open can finish."""
    from ninefold.host.index import locate
    from ninefold.host.index.locks import WriterLock
    from ninefold.host.index.manifest import missing
    from ninefold.host.index.write import check_target

    folder = locate(name)
    if not folder.exists():
        raise missing(folder)
    check_target(folder, force=True)
    lock = WriterLock(folder)
    lock.take()
    try:
        shutil.rmtree(folder)
    finally:
        lock.release()
    click.echo(printable(f"{name}: removed"))


for _command in (backup, backups, restore):
    index.add_command(_command)


def summary(built: Built) -> str:
    """Return a summary of the index and the times, in two lines that are safe to print."""
    generation = built.generation
    times = ", ".join(f"{name} {duration(seconds)}" for name, seconds in built.seconds.items())
    skipped = f", {built.skipped.count} skipped" if built.skipped.count else ""
    if others := built.skipped.others:
        skipped += f", {counted(others, 'file')} of other kinds skipped"
    if hidden := built.skipped.hidden:
        skipped += f", {counted(hidden, 'hidden name')} skipped"
    rows, dimensions = counted(built.rows, "entry", "entries"), counted(built.manifest.dimensions, "dimension")
    return (
        f"{printable(built.folder)}: {rows}{skipped}, {dimensions}, {built.bytes / 1e6:.1f} MB, mode {generation.mode},"
        f" scale {generation.scale:.4g}\n  {times}"
    )


def _changes(updated: Updated) -> str:
    """Return the changes of an update in one line that is safe to print."""
    written = updated.written
    counts = (f"{written.added} added", f"{written.replaced} replaced", f"{written.removed} removed")
    skipped = f", {updated.skipped.count} skipped" if updated.skipped.count else ""
    evicted = f", {written.evicted} evicted" if written.evicted else ""
    return printable(f"{updated.called}: {', '.join(counts)}{evicted}, {updated.unchanged} unchanged{skipped}")


def _report(skipped: Skipped) -> None:
    for line in skipped.lines():
        click.echo(f"  {line}", err=True)
