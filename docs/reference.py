"""Generator of the command-line reference, docs/cli.md: ``python docs/reference.py > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from ninefold.host.cli import cli

__all__ = ["page"]

_WIDTH = 100
_HEAD = """# Command line

<!-- Written by `python docs/reference.py > docs/cli.md`; change the commands instead. -->

This page lists the `--help` text of every command. Invalid input ends a command with exit code 2, a failing device or
tool with 3, Ctrl-C with 130. An error is one line on standard error. Installed packages may add commands by entry
points.

Results go to standard output, progress to standard error. On a terminal, progress is one line that is rewritten.
Elsewhere it is one line for each step that takes more than five seconds, then one every ten seconds and one at its end,
such as `placing and routing ulx3s/full, seed 1: 45 s of about 75 s`. The expected time is the duration of the last run,
which is kept in the cache. `ninefold --quiet COMMAND` writes errors and warnings, but no progress. Calls of the Python
API write no progress.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *(f"## {name}\n\n```text\n{text}\n```\n" for name, text in _helps(cli, "ninefold", None))])


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Yield the name and help text of a command and of all its subcommands."""
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
