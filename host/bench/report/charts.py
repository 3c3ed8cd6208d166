"""Charts of a run, as SVG with the colours of the page and as PNG."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ninefold.host.bench.contenders import TUNED
from ninefold.host.bench.records import Run
from ninefold.spec.text import counted

from .selection import (
    Point,
    by_quantity,
    drift,
    fabric,
    implementations,
    recalls,
    roof,
    scaling,
    stage_times,
    under_the_roof,
)

__all__ = ["Chart", "charts"]

#: Colours of Okabe and Ito that are visible on white and on black; grey in place of yellow and black.
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
#: Markers, filled and then hollow, tell contenders apart without colour; dashes tell their lines apart.
_MARKERS: Final = "osD^vP*Xph<>d"
_DASHES: Final[tuple[Any, ...]] = (
    "solid",
    (0, (6, 2)),
    (0, (2, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (6, 2, 1.5, 2, 1.5, 2)),
    (0, (1, 2.5)),
)
_HATCHES: Final = ("", "///", "...", "xx", "\\\\\\", "++")
#: Recall at which tuned contenders are in the charts of scaling.
_SCALED: Final = f"{TUNED}0.998"
#: Placeholders for the colours of text and lines, which the page replaces.
_INK, _GRID = "#010203", "#040506"
_PRINTED_INK, _PRINTED_GRID = "#222222", "#dddddd"
#: Size in inches, of 72 CSS pixels each in the SVG's units, so that text keeps its size on a phone.
_WIDTH, _HEIGHT = 4.6, 3.3
_LEGEND_LINE = 0.19
_FEW_DECADES = 1.6
_STYLE: Final = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Chart:
    """Chart in both formats.

    Attributes
    ----------
    name : str
        Part of its file names: lower case and hyphens.
    section : str
        Heading of its section.
    title : str
        Title.
    caption : str
        Explanation below the chart.
    svg : str
        SVG with the colours of the page.
    png : bytes
        PNG on white.
    """

    name: str
    section: str
    title: str
    caption: str
    svg: str
    png: bytes


def charts(run: Run) -> list[Chart]:
    """Draw all charts for which the run has figures."""
    return [
        *_recall(run),
        *_scaling(run),
        *_roofline(run),
        *_cores(run),
        *_fabric(run),
        *_stages(run),
        *_drift(run),
    ]


def _recall(run: Run) -> Iterator[Chart]:
    styles = _styles(run)
    for number, ((rows, data, queries), points) in enumerate(sorted(recalls(run).items())):
        families: dict[str, list[Point]] = {}
        for point in points:
            families.setdefault(_family(point.name), []).append(point)

        def draw(axes: Any, families: dict[str, list[Point]] = families) -> None:
            for name, members in families.items():
                ordered = sorted(members, key=lambda member: member.x)
                axes.plot([p.x for p in ordered], [p.y for p in ordered], **_mark(styles[name]), label=name)
            axes.set(xscale="log", xlabel="milliseconds a query", ylabel="recall@10")
            axes.margins(0.12)

        title = f"{counted(rows, 'row')}, {counted(queries, 'query', 'queries')} a call"
        yield _chart(
            f"recall-{number}",
            "Recall against time",
            title,
            f"Data: {data}. Recall is relative to exact float32 search. Up and to the left is better. Contenders with a"
            " search parameter have a point for each recall that it was tuned to.",
            draw,
            len(families),
        )


def _scaling(run: Run) -> Iterator[Chart]:
    styles = _styles(run)
    for queries, found in sorted(scaling(run).items()):
        lines = {name: points for name, points in found.items() if TUNED not in name or name.endswith(_SCALED)}

        def draw(axes: Any, lines: dict[str, list[Point]] = lines) -> None:
            for name, points in lines.items():
                ordered = sorted(points, key=lambda point: point.x)
                style = _mark(styles[_family(name)])
                axes.plot([p.x for p in ordered], [p.y for p in ordered], **style, label=name.replace(TUNED, ", "))
            axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="milliseconds a query")

        title = f"{queries:,} {'query' if queries == 1 else 'queries'} a call"
        caption = (
            "Median time of a call, divided by its queries. The data of each database are in the table of all figures."
        )
        yield _chart(f"scaling-{queries}", "Scaling with the database", title, caption, draw, len(lines))


def _roofline(run: Run) -> Iterator[Chart]:
    limits, found = roof(run), under_the_roof(run)
    if limits is None or not found:
        return
    read, int8 = limits

    def draw(axes: Any) -> None:
        seen = [point.x for points in found.values() for point in points]
        knee = int8 / read
        span = [min(*seen, knee) / 2, max(*seen, knee) * 2]
        xs = [span[0], knee, span[1]]
        # Named in the legend: a text in the chart would cover points.
        label = f"roof: {read:.3g} GB/s, {int8:,.0f} Gop/s"
        ink = axes.xaxis.label.get_color()
        axes.plot(xs, [min(int8, read * x) for x in xs], color=ink, linewidth=1.2, label=label)
        for i, (queries, points) in enumerate(sorted(found.items())):
            style = {**_mark(i), "linestyle": "none", "label": f"{counted(queries, 'query', 'queries')} a call"}
            axes.plot([p.x for p in points], [p.y for p in points], **style)
        axes.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="10⁹ operations a second")
        axes.margins(y=0.15)

    caption = (
        "Limits of the machine, measured in the same run, and rates of searches. A small database stays in a cache,"
        " which is faster than memory, so its point may be above the slope."
    )
    yield _chart("roofline", "Roofline", "Searches below the machine's limits", caption, draw, len(found) + 1)


def _cores(run: Run) -> Iterator[Chart]:
    points = implementations(run)
    if not points:
        return

    def draw(axes: Any) -> None:
        for i, point in enumerate(points):
            axes.plot(point.x, point.y, **_mark(i), label=point.name)
        axes.set(xscale="log", xlabel="LUT4", ylabel="MHz after routing")
        axes.margins(0.12)

    caption = "Cores alone on an LFE5U-85F, speed grade 6, and whole bitstreams on their boards. Up and left is better."
    yield _chart("cores", "Cores", "Area and clock", caption, draw, len(points))


def _fabric(run: Run) -> Iterator[Chart]:
    bars = fabric(run)
    if not bars:
        return

    def draw(axes: Any) -> None:
        kinds: tuple[tuple[str, list[float | None], str, str], ...] = (
            ("fabric with its link, PROJECTED", [bar.projected for bar in bars], _COLOURS[0], "///"),
            ("fabric's engine, PROJECTED", [bar.engine for bar in bars], _COLOURS[5], "..."),
            ("host's CPU, measured", [bar.measured for bar in bars], _COLOURS[1], ""),
        )
        for row, (label, values, colour, hatch) in enumerate(kinds):
            there = [(i + 0.27 * (row - 1), value) for i, value in enumerate(values) if value is not None]
            if there:
                axes.barh(*zip(*there, strict=True), height=0.25, color=colour, hatch=hatch, label=label, alpha=0.8)
        axes.set(xscale="log", xlabel="queries a second")
        axes.set_yticks(
            range(len(bars)), [f"{bar.name}\n{bar.sizes['rows']:,} x {bar.sizes['dimensions']}" for bar in bars]
        )
        axes.invert_yaxis()

    caption = (
        "The fabric's rates are PROJECTED from counted cycles at the board's clock. The host's were measured in this"
        " run on a database of the same size, 64 queries a call."
    )
    yield _chart("fabric", "Fabric beside host", "Queries a second", caption, draw, 3)


def _stages(run: Run) -> Iterator[Chart]:
    found = stage_times(run)
    if not found:
        return

    def draw(axes: Any) -> None:
        names = list(dict.fromkeys(stage for stages in found.values() for stage, _ in stages))
        left = dict.fromkeys(found, 0.0)
        for i, name in enumerate(names):
            for j, (device, stages) in enumerate(found.items()):
                taken = dict(stages).get(name, 0.0)
                style = {"color": _COLOURS[i], "hatch": _HATCHES[i % len(_HATCHES)], "height": 0.5}
                axes.barh(j, taken, left=left[device], label="" if j else name, **style)
                left[device] += taken
        axes.set(xlabel="milliseconds, medians", ylim=(-0.9, len(found) - 0.1))
        axes.set_yticks(range(len(found)), list(found))
        axes.invert_yaxis()

    caption = "One question in words, through the scheduler, reranked from the best 40."
    yield _chart("stages", "Time of each stage", "One question", caption, draw, len(next(iter(found.values()))))


def _drift(run: Run) -> Iterator[Chart]:
    shown = (
        ("hot", "Uses of hot lists", "share of the uses", "Each point is the share of a window of questions."),
        ("momentum", "Momentum of topics", "mean momentum", "Mean of a topic's lists; below 0.1 counts as 0."),
    )
    for quantity, title, label, caption in shown:
        if not (lines := drift(run, quantity)):
            continue

        def draw(axes: Any, lines: dict[str, list[Point]] = lines, label: str = label) -> None:
            for i, (name, points) in enumerate(lines.items()):
                axes.plot([p.x for p in points], [p.y for p in points], **_mark(i), label=name)
            axes.set(xlabel="questions", ylabel=label, ylim=(0, None))

        yield _chart(f"drift-{quantity}", "Tiers while topics drift", title, caption, draw, len(lines))


def _family(name: str) -> str:
    """Return the name of a contender without the recall that it was tuned to."""
    return name.partition(TUNED)[0]


def _styles(run: Run) -> dict[str, int]:
    """Return the number of each contender of the searches, so that it looks alike in all charts."""
    names = dict.fromkeys(_family(figure.subject) for figure in by_quantity(run, "search", "search", "time"))
    return {name: i for i, name in enumerate(names)}


def _mark(i: int) -> dict[str, Any]:
    """Return the style of contender number `i`: colour, dashes, and a marker that no other of the first 26 has."""
    return {
        "color": _COLOURS[i % len(_COLOURS)],
        "linestyle": _DASHES[i % len(_DASHES)],
        "linewidth": 1.2,
        "marker": _MARKERS[i % len(_MARKERS)],
        "markersize": 6,
        "fillstyle": "none" if i // len(_MARKERS) % 2 else "full",
    }


def _chart(name: str, section: str, title: str, caption: str, draw: Callable[[Any], None], labels: int) -> Chart:
    svg = _drawn(name, draw, labels, _INK, _GRID, "svg").decode()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor").replace(_GRID, "var(--line)")
    # All charts are in one page, and matplotlib uses the same ids in each.
    svg = re.sub(r'(\bid="|ref="#|url\(#)', rf"\g<1>{name}-", svg)
    png = _drawn(name, draw, labels, _PRINTED_INK, _PRINTED_GRID, "png")
    return Chart(name, section, title, caption, svg, png)


def _drawn(name: str, draw: Callable[[Any], None], labels: int, ink: str, grid: str, form: str) -> bytes:
    """Draw a chart with its legend below; the height grows with the lines of the legend."""
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "hatch.color")
    # The salt makes the ids of elements differ from chart to chart, and the same from run to run.
    style = {**_STYLE, **dict.fromkeys(inks, ink), "grid.color": grid, "svg.hashsalt": name}
    with mpl.rc_context(style):  # type: ignore[arg-type, unused-ignore]
        lines = -(-labels // 2)
        figure = Figure(figsize=(_WIDTH, _HEIGHT + _LEGEND_LINE * lines))
        axes = figure.subplots()
        axes.grid(visible=True, which="major", linewidth=0.6)
        axes.set_axisbelow(True)
        draw(axes)
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            if axis.get_scale() == "log":
                _plain_numbers(axis, *sorted((low, high)))
        handles, names = _labelled(axes.get_legend_handles_labels())
        figure.legend(
            handles, names, loc="outside lower center", ncols=2, fontsize=8, handletextpad=0.3, handlelength=3
        )
        target = io.BytesIO()
        transparent = form == "svg"
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(target, format=form, transparent=transparent, dpi=200, metadata=metadata)
    return target.getvalue()


def _plain_numbers(axis: Any, low: float, high: float) -> None:
    """Label a logarithmic axis with plain numbers, more of them on a short axis."""
    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0,) if decades > _FEW_DECADES else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _labelled(found: tuple[Sequence[Any], Iterable[str]]) -> tuple[list[Any], list[str]]:
    """Return the handles that have a label, and the labels."""
    pairs = [(handle, label) for handle, label in zip(*found, strict=True) if label]
    return [handle for handle, _ in pairs], [label for _, label in pairs]
