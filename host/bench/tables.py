"""Figures and comparisons as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.benchmark import Figure, Parameter

from .compare import Comparison

__all__ = [
    "Target",
    "described",
    "figures",
    "print_comparison",
    "print_targets",
    "quantity",
    "shown",
    "targets",
    "worsening",
]

_COLOURS = {True: "green", False: "red", None: ""}


def shown(value: float) -> str:
    """Return a number with four significant digits, and all digits of a whole one."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 10_000 else f"{value:.4g}"


def described(parameters: Mapping[str, Parameter]) -> str:
    """Return parameters as ``rows 10,000, k 10``."""
    return ", ".join(
        f"{name} {value:,}" if type(value) is int else f"{name} {value}" for name, value in parameters.items()
    )


def quantity(figure: Figure) -> str:
    """Return a figure with unit and spread, marked where it is projected."""
    text = f"{shown(figure.value)} {figure.unit}".rstrip()
    if figure.kind == "projected":
        return f"{text} (projected)"
    return f"{text} ±{shown(figure.spread / 2)}" if figure.kind == "timed" and figure.repetitions > 1 else text


def figures(name: str, measured: Iterable[Figure]) -> Table:
    """Return a suite as a table that fits into 80 columns.

    Behind a median stands half the distance of the quartiles. Green meets its target, red does not.
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


class Target(NamedTuple):
    """A figure that has a target, what it is called, and what it reached: the ratio where it is beside a peer."""

    name: str
    reached: str
    figure: Figure


def targets(suites: Mapping[str, Iterable[Figure]]) -> list[Target]:
    """Return what has a target."""
    aimed = [(suite, figure) for suite, measured in suites.items() for figure in measured if figure.target]
    return [
        Target(
            f"{suite}: {figure.case}, {figure.subject}, {figure.quantity}",
            quantity(figure) if figure.ratio is None else f"{shown(figure.ratio)} x {figure.beside}",
            figure,
        )
        for suite, figure in aimed
    ]


def print_targets(console: Console, suites: Mapping[str, Iterable[Figure]]) -> None:
    """Print how many targets are met, and each that is missed."""
    aimed = targets(suites)
    missed = [target for target in aimed if not target.figure.met]
    if aimed:
        console.print(f"{len(aimed) - len(missed)} of {len(aimed)} targets met", style="bold", highlight=False)
    for name, reached, figure in missed:
        console.print(f"missed: {name}: {reached}, target {figure.target}", style="red", markup=False, highlight=False)


def worsening(factor: float) -> str:
    """Return how much worse a factor is, as ``+12.5 %``; better is negative."""
    return f"{100 * (factor - 1):+.1f} %"


def print_comparison(console: Console, found: Comparison) -> None:
    """Print what became better or worse, and what cannot be said."""
    table = Table(title="changes", title_justify="left")
    table.add_column("figure", ratio=1)
    table.add_column("then", justify="right")
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
    for text in (*found.notes, *(f"gone: {name}" for name in found.gone)):
        console.print(text, style="dim", markup=False, highlight=False)
