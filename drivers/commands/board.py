"""``ninefold board``: find, test and measure boards, real or virtual."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ninefold.spec.errors import InputError, UnavailableError
from ninefold.spec.link import FORMAT_GRID, FORMAT_PACKED
from ninefold.spec.progress import step
from ninefold.spec.registry import entries
from ninefold.spec.terminal import printable
from ninefold.spec.text import counted

__all__ = ["BOARD_COMMANDS", "BoardGroup", "board"]

#: Group of entry points through which other folders and packages add commands, e.g. ``serve``.
BOARD_COMMANDS = "ninefold.board_commands"
_FORMATS = {FORMAT_PACKED: "packed nits", FORMAT_GRID: "grid values"}


class BoardGroup(click.Group):
    """Group of the commands below and of the commands added by entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *entries(BOARD_COMMANDS)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; a command of an entry point is imported only here."""
        own = super().get_command(ctx, cmd_name)
        if own is None and cmd_name in entries(BOARD_COMMANDS):
            added: click.Command = entries(BOARD_COMMANDS)[cmd_name].load()
            return added
        return own


@click.group(cls=BoardGroup)
def board() -> None:
    """Find, test and measure boards, real or virtual.

    A board is given by a URL: serial://SERIAL, serial:///dev/ttyUSB1?baud=3000000, tcp://HOST:PORT, or sim://CONFIG for
    a simulated board; or by a name from `list`, e.g. virtual/tiny. The default is the board that is plugged in, or a
    simulated board if there is none. A board with an unknown bitstream is used only if --digest gives its digest.
    """


def _named(name: str | None) -> str:
    """Return the URL of the named board; without a name, choose a board and report it on stderr."""
    from ninefold.drivers.boards import only_board, places, url_of, why_simulated

    if name is not None:
        return url_of(name)
    place = only_board()
    why = why_simulated(places()) if place.simulated else "no board is named"
    click.echo(printable(f"{why}; using {place.url}"), err=True)
    return place.url


_URL = click.argument("url", required=False, callback=lambda _context, _parameter, name: _named(name))


_DIGEST = click.option(
    "--digest",
    default="",
    metavar="HEX",
    help="Digest of the bitstream that the board must hold [default: any known one].",
)


@board.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_boards(as_json: bool) -> None:
    """List the boards that are plugged in or can be simulated."""
    from ninefold.drivers.boards import places

    found = places()
    listed = [place for some in found.values() if not isinstance(some, UnavailableError) for place in some]
    missing = [error for error in found.values() if isinstance(error, UnavailableError)]
    if as_json:
        click.echo(json.dumps([asdict(place) for place in listed], indent=2))
    else:
        width = max((len(place.url) for place in listed), default=0)
        for place in listed:
            click.echo(printable(f"{place.url:{width}}  {place.description}"))
    for error in missing:
        click.echo(printable(error, lines=True), err=True)


@board.command()
@_URL
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(url: str, as_json: bool) -> None:
    """Show the identity, contents and counters of a board.

    Nothing on the board changes.
    """
    from ninefold.drivers.boards import ANY, bitstream, open_board

    opened = open_board(url, digest=ANY, selftest=False)
    try:
        formats = ", ".join(_FORMATS[form] for form in sorted(opened.identity.formats))
        known = bitstream(opened.identity.digest) or "described by no manifest"
        identity = {"bitstream": known} | asdict(opened.identity) | {"formats": formats}
        holds, counted = str(opened.condition), asdict(opened.statistics())
    finally:
        opened.close()
    if as_json:
        click.echo(json.dumps({"identity": identity, "holds": holds, "statistics": counted}, indent=2))
    else:
        _show({**identity, "holds": holds, **counted})


@board.command()
@click.argument("url", required=False)
@_DIGEST
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="File to record, for replay://FILE.")
@click.option("--core", metavar="CORE", help="Core of your own that the board holds; its golden function judges it.")
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter of CORE; may be repeated."
)
def selftest(url: str | None, digest: str, record: Path | None, core: str | None, parameters: tuple[str, ...]) -> None:
    """Compare a board's answers with known ones.

    The answers are of a small search or, with --core, of the golden function of a core. It overwrites the board's
    contents. With --core, URL may be a name such as virtual or icebreaker [default: virtual] of a simulated board
    around the core.
    """
    if core is not None:
        if digest or record:
            raise InputError(f"--core cannot be combined with {'--digest' if digest else '--record'}")
        _test_core(url or "virtual", core, parameters)
        return
    if parameters:
        raise InputError(f"--parameter {parameters[0]} needs --core")
    from ninefold.drivers.boards import bitstream, open_board

    url = _named(url)
    opened = open_board(url, digest=digest, record=record)
    happened, name = opened.link_statistics, bitstream(opened.identity.digest) or opened.identity.digest[:16]
    opened.close()
    click.echo(
        f"{printable(url)} ({printable(name)}): the known-answer test passes; "
        f"{counted(happened.requests, 'request')}, "
        f"{counted(happened.repeats, 'repeat')}, {counted(happened.damaged, 'damaged reply', 'damaged replies')}"
    )


def _test_core(name: str, core: str, words: tuple[str, ...]) -> None:
    from ninefold.drivers.stream_core import open_board_core

    if wrong := [word for word in words if "=" not in word]:
        raise InputError(f"a parameter must be NAME=VALUE, not {wrong[0]!r}")
    pairs = (word.partition("=") for word in words)
    parameters = {name: int(text) if re.fullmatch(r"-?[0-9]+", text) else text for name, _, text in pairs}
    opened = open_board_core(core, f"board:{name.removeprefix('board:')}", parameters)
    try:
        opened.selftest(core, parameters)
        happened = opened.client.link_statistics
    finally:
        opened.close()
    click.echo(
        f"{printable(name)} ({printable(core)}): the known-answer test passes; "
        f"{counted(happened.requests, 'request')}, {counted(happened.repeats, 'repeat')}"
    )


@board.command()
@_URL
@_DIGEST
@click.option("--queries", default=1000, show_default=True, help="Number of queries, 1 or more.")
@click.option(
    "-k", "--k", type=int, help="Results or candidates per query [default: 10, or the board's maximum if lower]."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(url: str, digest: str, queries: int, k: int | None, as_json: bool) -> None:
    """Measure loading and queries with random rows.

    The rows fill the store, so the board's contents are overwritten.
    """
    from ninefold.drivers.bench import measure
    from ninefold.drivers.boards import open_board

    if queries < 1:
        raise InputError(f"--queries must be 1 or more, not {queries}")
    opened = open_board(url, digest=digest)
    try:
        with step(f"measuring {url}"):
            measured = measure(opened, queries, min(10, opened.identity.results) if k is None else k)
    finally:
        opened.close()
    if as_json:
        click.echo(json.dumps(asdict(measured), indent=2))
    else:
        _show(asdict(measured))
        click.echo(
            f"queries_a_second is computed for the board's nominal clock of {measured.clock_hz / 1e6:g} MHz; by this"
            f" computer's clock, it is {measured.queries / measured.search_s:.6g}"
        )


def _show(values: dict[str, Any]) -> None:
    for name, value in values.items():
        shown = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else value
        click.echo(printable(f"{name:20} {shown}"))
