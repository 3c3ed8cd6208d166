"""Line at the bottom of a terminal that shows the running step."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ninefold.spec.progress import Step

__all__ = ["StatusLine"]


class StatusLine:
    """Listener that rewrites one line of a terminal; see `ninefold.spec.progress.Listener`.

    Parameters
    ----------
    console : Console
        Standard error.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def look(self, step: Step, now_s: float) -> None:
        """Show the step and its nested steps."""
        if self._live is None:
            # Text printed meanwhile appears above the line. Output redirected to a file or a pipe must not be diverted.
            self._live = Live(
                console=self._console, transient=True, auto_refresh=False, redirect_stdout=sys.stdout.isatty()
            )
            self._live.start()
        self._live.update(Text(step.line(now_s), no_wrap=True, overflow="ellipsis"), refresh=True)

    def say(self, line: str) -> None:
        """Print the line above the status line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def ended(self, step: Step, now_s: float, done: bool) -> None:  # noqa: ARG002 - the arguments of a listener
        """Remove the line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
