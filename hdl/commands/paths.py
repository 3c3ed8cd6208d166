"""Table of a critical path."""

from collections.abc import Iterable

from rich.table import Table

from ninefold.spec.manifest import Step

__all__ = ["path_table"]


def path_table(title: str, path: Iterable[Step]) -> Table:
    """Return a table of the steps of a path, with their delays and cumulative delay."""
    table = Table(title=title, title_justify="left")
    table.add_column("signal", overflow="fold")
    for heading in ("logic (ns)", "routing (ns)", "so far (ns)"):
        table.add_column(heading, justify="right")
    total = 0.0
    for step in path:
        total += step.logic_ns + step.routing_ns
        table.add_row(step.signal, f"{step.logic_ns:.2f}", f"{step.routing_ns:.2f}", f"{total:.2f}")
    return table
