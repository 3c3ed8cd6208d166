"""Tables of figures and comparisons for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.benchmark import Figure, Parameter

from .compare import Comparison

__all__ = [
    "BESIDE_PEERS",
    "TargetReached",
    "described",
    "figures",
    "print_comparison",
    "print_targets",
    "print_tasks",
    "quantity",
    "ratio",
    "shown",
    "targets",
    "tasks",
    "verdict",
    "worsening",
]

#: Title of the table of tasks.
BESIDE_PEERS: Final = "Ninefold beside the best peer at equal recall"
_VERDICTS: Final = {True: "met", False: "missed", None: ""}
_COLOURS = {True: "green", False: "red", None: ""}


def shown(value: float) -> str:
    """Return a number with four significant digits, or all digits of a whole number."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 10_000 else f"{value:.4g}"


def described(parameters: Mapping[str, Parameter]) -> str:
    """Return parameters as ``rows 10,000, k 10``."""
    return ", ".join(
        f"{name} {value:,}" if type(value) is int else f"{name} {value}" for name, value in parameters.items()
    )


def quantity(figure: Figure) -> str:
    """Return the value of a figure with unit and spread, and a mark if it is projected."""
    text = f"{shown(figure.value)} {figure.unit}".rstrip()
    if figure.kind == "projected":
        return f"{text} (projected)"
    return f"{text} ±{shown(figure.spread / 2)}" if figure.kind == "timed" and figure.repetitions > 1 else text


def figures(name: str, measured: Iterable[Figure]) -> Table:
    """Return a suite as a table that fits into 80 columns.

    Half the distance of the quartiles follows each median. Figures that meet their target are green, others red.
    """
    table = Table(title=name, title_justify="left")
    table.add_column("figure", ratio=1)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    for (case, sizes), group in groupby(measured, lambda figure: (figure.case, described(figure.parameters))):
        table.add_row(Text(case, style="bold") + Text(f"  {sizes}", style="dim"), "", "")
        for figure in group:
            label = Text(f"  {figure.subject}: {figure.quantity}")
            if figure.ratio is not None:
                label.append(f"\n    {shown(figure.ratio)} x {figure.beside}", style=_COLOURS[figure.met])
            if figure.detail:
                label.append(f"\n    {figure.detail}", style="dim")
            style = _COLOURS[figure.met] if figure.ratio is None else ""
            aim = f"{figure.target} x" if figure.target and figure.ratio is not None else figure.target
            table.add_row(label, Text(quantity(figure), style=style), aim)
    return table


class TargetReached(NamedTuple):
    """Figure with a target, its name, and the value or ratio that it reached."""

    name: str
    reached: str
    figure: Figure


def targets(suites: Mapping[str, Iterable[Figure]]) -> list[TargetReached]:
    """Return the figures that have a target."""
    aimed = [(suite, figure) for suite, measured in suites.items() for figure in measured if figure.target]
    return [
        TargetReached(
            f"{suite}: {figure.case}, {figure.subject}, {figure.quantity}",
            quantity(figure) if figure.ratio is None else f"{shown(figure.ratio)} x {figure.beside}",
            figure,
        )
        for suite, figure in aimed
    ]


def tasks(suites: Mapping[str, Iterable[Figure]]) -> list[Figure]:
    """Return the figures of the table beside the best peers."""
    return [figure for measured in suites.values() for figure in measured if figure.task]


def ratio(figure: Figure) -> str:
    """Return the ratio of a figure with its spread, as ``0.27 x ±0.01``; empty without a peer."""
    if figure.ratio is None:
        return ""
    spread = f" ±{shown(figure.ratio_spread / 2)}" if figure.repetitions > 1 else ""
    return f"{shown(figure.ratio)} x{spread}"


def verdict(figure: Figure) -> str:
    """Return ``met`` or ``missed``; empty without a target."""
    return _VERDICTS[figure.met]


def print_tasks(console: Console, suites: Mapping[str, Iterable[Figure]]) -> None:
    """Print a row for each task: subject, best peer, ratio, and the target that is met or missed."""
    listed = tasks(suites)
    if not listed:
        return
    table = Table(title=BESIDE_PEERS, title_justify="left")
    table.add_column("task", ratio=1)
    table.add_column("peer")
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    for figure in listed:
        label = Text(figure.task) + Text(f"\n  {figure.subject}: {figure.quantity}", style="dim")
        aim = f"{figure.target} {verdict(figure)}" if figure.target else ""
        table.add_row(label, Text(figure.beside), Text(ratio(figure)), Text(aim, style=_COLOURS[figure.met]))
    console.print(table)


def print_targets(console: Console, suites: Mapping[str, Iterable[Figure]]) -> None:
    """Print the number of targets met, and each missed one."""
    aimed = targets(suites)
    missed = [target for target in aimed if not target.figure.met]
    if aimed:
        console.print(f"{len(aimed) - len(missed)} of {len(aimed)} targets met", style="bold", highlight=False)
    for name, reached, figure in missed:
        console.print(f"missed: {name}: {reached}, target {figure.target}", style="red", markup=False, highlight=False)


def worsening(factor: float) -> str:
    """Return a factor as a change for the worse, such as ``+12.5 %``; improvements are negative."""
    return f"{100 * (factor - 1):+.1f} %"


def print_comparison(console: Console, found: Comparison) -> None:
    """Print the changes of a comparison, the figures that are missing, and the notes."""
    table = Table(title="changes", title_justify="left")
    table.add_column("figure", ratio=1)
    table.add_column("earlier", justify="right")
    table.add_column("now", justify="right")
    table.add_column("worse by", justify="right", no_wrap=True)
    table.add_column("noise", justify="right", no_wrap=True)
    changed = [change for change in found.changes if change.verdict != "same"]
    for change in sorted(changed, key=lambda change: -change.worse):
        new = change.new
        name = f"{change.suite}: {new.case}, {new.subject}, {new.quantity}"
        against = f"\n  x {new.beside}" if new.beside else ""
        label = Text(f"{name}{against}\n  {described(new.parameters)}")
        colour = "red" if change.verdict == "regression" else "green"
        cells = (
            shown(change.old.judged),
            shown(new.judged),
            worsening(change.worse),
            f"{100 * change.threshold:.0f} %",
        )
        table.add_row(label, *cells, style=colour)
    if changed:
        console.print(table)
    console.print(found.summary, style="bold", highlight=False)
    for text in (*found.notes, *(f"missing: {name}" for name in found.gone)):
        console.print(text, style="dim", markup=False, highlight=False)
