"""``ninefold serve`` and ``ninefold keys``: indexes over HTTP, and the keys of callers."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ninefold.spec.cache import data_folder
from ninefold.spec.errors import installs, not_installed
from ninefold.spec.files import check_folders
from ninefold.spec.progress import step
from ninefold.spec.terminal import printable, to_json

if TYPE_CHECKING:
    from ninefold.host.server.keys import KeyFile, Scope

__all__ = ["keys", "serve"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_SCOPES: Final = ("read", "write", "admin")


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen on this address.")
@click.option("--port", default=8900, show_default=True, help="Listen on this port; 0 takes a free one.")
@click.option("--name", "hosts", multiple=True, metavar="HOST", help="Host name by which callers reach the server.")
@click.option("--keys", "key_file", type=_FILE, help="Ask callers for a key of this file; see `ninefold keys`.")
@click.option("--tls-cert", type=_FILE, help="Certificate for TLS, in PEM.")
@click.option("--tls-key", type=_FILE, help="Private key for TLS, in PEM.")
@click.option("--behind-proxy", is_flag=True, help="A proxy in front encrypts.")
@click.option("--workers", type=click.IntRange(1, 256), default=8, show_default=True, help="Threads that work.")
@click.option("--queue", type=click.IntRange(min=1), default=256, show_default=True, help="Requests inside at once.")
@click.option("--seconds", type=float, default=30.0, show_default=True, help="Time for the work of one request.")
@click.option("--body-mib", type=click.IntRange(1, 1024), default=16, show_default=True, help="Largest body in MiB.")
@click.option("--uploads-mib", type=click.IntRange(min=0), default=4096, show_default=True, help="Uploads of one key.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Folder of backups and uploads [default: in the data folder]."
)
@click.option(
    "--board", "boards", multiple=True, metavar="URL", help="Offer this board too, such as tcp://127.0.0.1:4000."
)
@click.option("--ray", metavar="HOST:PORT", help="Have the nodes of this Ray cluster search the indexes.")
@click.option("--log-texts", is_flag=True, help="Log the texts of searches [default: their digests].")
@click.option("--audit", type=_FILE, help="Append a record of each write to this file, one JSON object per line.")
def serve(
    names: tuple[str, ...],
    host: str,
    port: int,
    hosts: tuple[str, ...],
    key_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    behind_proxy: bool,
    workers: int,
    queue: int,
    seconds: float,
    body_mib: int,
    uploads_mib: int,
    folder: Path | None,
    boards: tuple[str, ...],
    ray: str | None,
    log_texts: bool,
    audit: Path | None,
) -> None:
    """Serve the indexes NAMES over HTTP until SIGTERM or Ctrl-C.

    Beyond this machine, a server needs keys, and TLS or a proxy that encrypts.
    """
    check_folders(audit)
    from ninefold.host.index.locks import serves_at
    from ninefold.host.server.keys import KeyFile

    try:
        from ninefold.host.server.service import Limits, Service
        from ninefold.host.server.serving import Address
        from ninefold.host.server.serving import serve as serve_over_http
    except ModuleNotFoundError as error:
        raise not_installed(f"{error.name}, which a server needs,", installs("serve")) from error
    address = Address(host, port, hosts, tls_cert, tls_key, behind_proxy)
    file = None if key_file is None else KeyFile(key_file)
    address.check(file)
    limits = Limits(body=body_mib << 20, queue=queue, seconds=seconds, workers=workers, residents=uploads_mib << 20)
    with _audited(audit), contextlib.ExitStack() as entered:
        nodes = None
        if ray is not None:
            from ninefold.host.cluster import connect

            with step(f"connecting to the Ray cluster at {printable(ray)}"):
                nodes = entered.enter_context(connect(ray))
        with step("opening the indexes"):
            more: dict[str, Any] = {"nodes": nodes, "log_texts": log_texts, "boards": boards}
            service = Service(names, folder or data_folder() / "server", limits, **more)

        def started(url: str) -> None:
            serves_at(url)
            known = "" if file is None else "; callers need a key"
            click.echo(printable(f"serving {', '.join(service.indexes)} at {url}{known}"))

        with service:
            serve_over_http(service, address, file, started=started)
    click.echo("the server has ended; all requests inside were answered")


@contextlib.contextmanager
def _audited(path: Path | None) -> Iterator[None]:
    """Append the audit log to a file."""
    if path is None:
        yield
        return
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.FileHandler(path)
    handler.setFormatter(JsonFormatter("{message}", style="{", timestamp=True))
    logger = logging.getLogger("ninefold.audit")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


_KEYS = click.option("--file", "path", type=_FILE, help="File of keys [default: keys.json in the data folder].")


@click.group()
def keys() -> None:
    """Add, list and remove keys of the callers of a server."""


@keys.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(_SCOPES), default="read", show_default=True, help="What the key allows.")
@click.option("--rate", type=int, default=600, show_default=True, help="Requests allowed in a minute.")
@click.option("--days", type=float, help="Days after which the key expires [default: never].")
@_KEYS
def add(name: str, scope: Scope, rate: int, days: float | None, path: Path | None) -> None:
    """Add a key for NAME and print it, once: only its digest is kept."""
    _, token = _file(path).add(name, scope, rate, days)
    click.echo(token)
    click.echo("keep it now: it cannot be shown again", err=True)


@keys.command("list")
@_KEYS
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON, without digests.")
def list_keys(path: Path | None, as_json: bool) -> None:
    """List the keys: id, name, scope, rate and expiry."""
    found = _file(path).keys().values()
    if as_json:
        names = ("id", "name", "scope", "rate", "made", "expires")
        click.echo(to_json([{name: getattr(key, name) for name in names} for key in found]))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "name", "scope", "requests/min", "made", "expires"):
        table.add_column(heading, justify="right" if heading == "requests/min" else "left", no_wrap=True)
    for key in found:
        expires = "never" if key.expires is None else _day(key.expires)
        if key.expires is not None and key.expires <= time.time():
            expires += ", expired"
        table.add_row(key.id, Text(printable(key.name)), key.scope, f"{key.rate:,}", _day(key.made), expires)
    Console().print(table)


@keys.command()
@click.argument("identity", metavar="ID")
@_KEYS
def remove(identity: str, path: Path | None) -> None:
    """Remove the key ID; a server refuses it from the next request on."""
    removed = _file(path).remove(identity)
    click.echo(printable(f"removed the key {removed.id} of {removed.name}"))


def _file(path: Path | None) -> KeyFile:
    from ninefold.host.server.keys import KeyFile

    return KeyFile(path or data_folder() / "keys.json")


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
