"""Writes the reference of the command line, docs/cli.md: ``python docs/reference.py > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from ninefold.host.cli import cli

__all__ = ["page"]

_WIDTH = 100
_HEAD = """# Command line

<!-- Written by `python docs/reference.py > docs/cli.md`; change the commands instead. -->

What `--help` prints. Bad input ends with exit code 2, a device or tool that fails with 3, Ctrl-C with 130; an error
is one line on standard error. Commands of other packages, found by their entry points, are listed where they are
installed.

Results go to standard output. Progress goes to standard error: on a terminal one line that is rewritten, elsewhere a
line about each step that takes more than five seconds, then one every ten seconds and one at its end, such as
`placing and routing ulx3s/full, seed 1: 45 s of about 75 s`. The expected time is the duration of the last run, which
is kept in the cache. `ninefold --quiet COMMAND` writes no progress, but still errors and warnings. Calls of the Python
API write no progress.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(f"## {name}\n\n```text\n{text}\n```\n" for name, text in _helps(cli, "ninefold", None))])


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Give the names of a command and of all below it, and what each prints as help."""
    context = click.Context(
        command,
        parent,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    yield context.command_path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from _helps(found, below, context)


if __name__ == "__main__":
    sys.stdout.write(page())
