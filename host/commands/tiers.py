"""``ninefold tiers``: lists of a clustered index on a device, in memory and on disk."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ninefold.spec.terminal import printable, to_json

from .shown import duration

if TYPE_CHECKING:
    from ninefold.host.index.tier_record import TierRecord
    from ninefold.host.tiers.routing import Calibration

__all__ = ["tiers"]

#: Lists whose momentum is shown.
_HOTTEST = 8


@click.command()
@click.argument("name")
@click.option("--hot", type=int, help="Number of lists on the device [default: as before, at first 32].")
@click.option("--warm", type=int, help="Number of lists in memory [default: as before, at first 256].")
@click.option("--lists", type=int, help="Lists that a question uses, 1 to 32 [default: as before, at first 4].")
@click.option("--recall", type=float, help="Choose thresholds that keep this recall on sampled rows of the index.")
@click.option("--rebuild", is_flag=True, help="Write all lists again, and forget momentum, counts and thresholds.")
@click.option("--watch", is_flag=True, help="Show the table again and again, until Ctrl-C.")
@click.option("--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def tiers(
    name: str,
    hot: int | None,
    warm: int | None,
    lists: int | None,
    recall: float | None,
    rebuild: bool,
    watch: bool,
    interval: float,
    as_json: bool,
) -> None:
    """Show or set up the tiers of the clustered index NAME.

    `ninefold search NAME --route` uses them. The first call writes the lists. With --watch, the table follows the
    process that uses them, which writes its record every five seconds.
    """
    if watch and as_json:
        raise click.UsageError("--watch shows a table, and --json prints one report")
    from ninefold.host.index.manifest import locate
    from ninefold.host.index.tier_record import FOLDER, TierRecord

    folder = locate(name) / FOLDER
    calibration = None
    if rebuild or (hot, warm, lists, recall) != (None,) * 4 or TierRecord.read(folder) is None:
        calibration = _set_up(name, hot, warm, lists, recall, rebuild)
    if watch:
        _follow(folder, interval)
        return
    record = TierRecord.read(folder)
    if record is None:
        raise click.ClickException(f"{printable(folder)} was removed meanwhile")
    if as_json:
        found = {"calibration": None if calibration is None else asdict(calibration)}
        click.echo(to_json({**asdict(record), "compression": record.ratio, **found}))
        return
    Console().print(_shown(record))
    if calibration is not None:
        shares = ", ".join(f"{stage} {share:.1%}" for stage, share in calibration.shares.items())
        click.echo(f"thresholds keep a recall of {calibration.recall:.4f} on {calibration.questions} rows: {shares}")


def _set_up(
    name: str, hot: int | None, warm: int | None, lists: int | None, recall: float | None, rebuild: bool
) -> Calibration | None:
    """Write lists or options, and choose thresholds if a recall is given."""
    from ninefold.host.index import Index
    from ninefold.host.index.tier_record import FOLDER, TierRecord
    from ninefold.host.scheduler import Scheduler
    from ninefold.host.tiers import TierSizes

    with Index.open(name) as index, Scheduler() as scheduler:
        sizes = None
        if hot is not None or warm is not None:
            folder = index.folder / FOLDER
            known = TierRecord.readable(folder) if rebuild else TierRecord.read(folder)
            before = TierSizes() if known is None else known.sizes
            sizes = TierSizes(before.hot if hot is None else hot, before.warm if warm is None else warm)
        with index.tiers(scheduler, sizes=sizes, lists=lists, rebuild=rebuild) as opened:
            return None if recall is None else opened.calibrate(recall)


def _follow(folder: Path, interval: float) -> None:
    """Show the record of a folder until Ctrl-C."""
    from ninefold.host.index.tier_record import TierRecord

    with Live(console=Console(), auto_refresh=False) as live:
        while (record := TierRecord.read(folder)) is not None:
            live.update(_shown(record), refresh=True)
            time.sleep(interval)


def _shown(record: TierRecord) -> Group:
    """Return the table of a record, and what belongs to no tier."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("tier")
    for heading in ("lists", "MB", "hit rate", "answers", "time"):
        table.add_column(heading, justify="right")
    counts, filled = record.counts, sum(1 for rows in record.rows if rows)
    places = {
        "hot": (len(record.hot), record.hot_bytes),
        "warm": (len(record.warm), record.warm_bytes),
        "cold": (filled, record.stored),
    }
    for stage, answers in counts.answers.items():
        lists, size = places.get(stage, (None, None))
        rate, mean = counts.hit_rate(stage) if stage in places else None, counts.mean_s(stage)
        table.add_row(
            stage,
            "" if lists is None else f"{lists:,}",
            "" if size is None else f"{size / 1e6:.1f}",
            "" if rate is None else f"{rate:.1%}",
            f"{answers:,}",
            "" if mean is None else duration(mean),
        )
    levels = ", ".join(f"{n} {'never' if v is None else f'{v:.3g}'}" for n, v in asdict(record.thresholds).items())
    momentum = ", ".join(f"{number}: {value:.2f}" for number, value in record.hottest[:_HOTTEST])
    sizes = f"sizes: {record.sizes.hot} hot and {record.sizes.warm} warm lists; a question uses {record.lists}"
    return Group(
        table,
        Text(f"compression: {record.ratio:.2f} ({record.nbytes / 1e6:.1f} MB in {record.stored / 1e6:.1f} MB)"),
        Text(f"read from disk: {counts.misses:,} lists after a miss, {counts.prefetched:,} prefetched"),
        Text(f"thresholds: {levels}; {sizes}"),
        Text(f"momentum of the hottest lists: {momentum or 'none is hot yet'}"),
    )
