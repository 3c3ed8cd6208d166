"""The progress bar of commands that run slow tools."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["steps"]


@contextmanager
def steps(description: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show on standard error how far the work is; yields what is called with a line after each finished step."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    # A bar that is shown where there is no terminal leaves an empty line.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def finished(line: str) -> None:
            console.print(line, highlight=False)
            bar.advance(task)

        yield finished
