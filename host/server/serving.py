"""The server process: address, TLS, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h11
import uvicorn
from litestar.handlers import HTTPRouteHandler
from uvicorn.protocols.http.h11_impl import H11Protocol

from ninefold.spec.errors import InputError, UnavailableError

from .app import application
from .gate import Gate
from .keys import KeyFile
from .service import Service

__all__ = ["Address", "serve"]

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
#: Time for the head of a request to arrive, for an idle connection to ask again, and between looks at the event that
#: ends a server, in seconds.
_HEAD_S: Final = 10.0
_IDLE_S: Final = 30
_LOOK_S: Final = 0.05


@dataclass(frozen=True)
class Address:
    """Address of a server, and the names by which callers reach it.

    Attributes
    ----------
    host : str
        Address or name to listen on.
    port : int
        Port, or 0 for a free one.
    names : sequence of str
        Further names by which callers reach the server.
    certificate, key : Path or None
        Files for TLS, in PEM.
    behind_proxy : bool
        Whether a proxy in front encrypts.
    """

    host: str = "127.0.0.1"
    port: int = 8900
    names: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False

    @property
    def loopback(self) -> bool:
        """True if only this machine reaches the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def hosts(self) -> set[str]:
        """Names by which callers reach the server."""
        own = {self.host} if not _wild(self.host) else set()
        return {*own, *self.names, *(_LOOPBACK if self.loopback or _wild(self.host) else ())}

    def check(self, keys: KeyFile | None) -> None:
        """Raise `InputError` for what is not safe, with the option that is missing."""
        if not 0 <= self.port <= 65_535:
            raise InputError(f"port must be 0 to 65535, not {self.port}")
        if (self.certificate is None) != (self.key is None):
            raise InputError("TLS needs both --tls-cert and --tls-key")
        if self.certificate is not None and self.behind_proxy:
            raise InputError("give either --tls-cert and --tls-key or --behind-proxy, not both")
        if self.loopback and not self.behind_proxy:
            return
        reached = "behind a proxy" if self.loopback else f"on {self.host}, which other machines reach,"
        if keys is None or not keys.keys():
            raise InputError(f"a server {reached} needs --keys FILE with a key; `ninefold keys add` makes one")
        if self.certificate is None and not self.behind_proxy:
            raise InputError(f"a server {reached} needs --tls-cert and --tls-key, or --behind-proxy")
        if (_wild(self.host) or self.behind_proxy) and not self.names:
            raise InputError(f"a server {reached} needs --name, the host name by which callers reach it")


def _wild(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not listened on


class _Protocol(H11Protocol):
    """HTTP that ends a connection on which a head does not arrive in time, however steadily its bytes come."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        # Head and body of an answer are two writes. Without this, the second waits for an acknowledgement, up to 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.access_log = False  # it would hold ids and whatever else callers write into URLs
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a head or a body."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait."""
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._late is None:
            self._late = self.loop.call_later(_HEAD_S, self.transport.close)

    def _stop_watching(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """Server that leaves signals to its caller, which has more to close than connections."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals."""
        yield


def serve(
    service: Service,
    address: Address,
    keys: KeyFile | None = None,
    *,
    started: Callable[[str], None],
    stop: threading.Event | None = None,
    more: Sequence[HTTPRouteHandler] = (),
) -> None:
    """Serve until SIGTERM, SIGINT or an event; then refuse new connections, and finish the requests that are inside.

    Parameters
    ----------
    service : Service
    address : Address
    keys : KeyFile or None
    started : callable
        ``started(url)`` is called when connections are accepted.
    stop : threading.Event, optional
        Ends the server, which then takes no signals.
    more : sequence of HTTPRouteHandler
        Routes beside the server's own.

    Raises
    ------
    InputError
        The address is not safe, or lacks what TLS needs.
    UnavailableError
        The address cannot be listened on.
    """
    address.check(keys)
    gate = Gate(
        application(service, more),
        keys=keys,
        hosts=address.hosts,
        seconds=service.limits.seconds,
        meters=service.meters,
    )
    config = uvicorn.Config(
        gate,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=service.limits.connections,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=round(service.limits.seconds) + 1,
        ssl_certfile=None if address.certificate is None else str(address.certificate),
        ssl_keyfile=None if address.key is None else str(address.key),
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError too
        raise InputError(f"{address.certificate} and {address.key} are not usable for TLS: {error}") from error
    with _listening(address) as listening:
        port = listening.getsockname()[1]
        host = f"[{address.host}]" if ":" in address.host else address.host
        url = f"{'http' if address.certificate is None else 'https'}://{host}:{port}"
        asyncio.run(_served(_Server(config), listening, lambda: started(url), stop))


def _listening(address: Address) -> socket.socket:
    """Return a socket that listens on an address."""
    try:
        found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnavailableError(
            f"{address.host}:{address.port} cannot be listened on: {reason}", "choose another --host or --port"
        ) from error


async def _served(
    server: _Server, listening: socket.socket, started: Callable[[], None], stop: threading.Event | None
) -> None:
    def end() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    if stop is None:
        # The process is the server's. A full collection would stop all requests for 50 ms and more, to look at modules,
        # routes and indexes that live as long as the process does.
        gc.collect()
        gc.freeze()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    said = False
    while not serving.done():
        if server.started and not said:
            said = True
            started()
        if stop is not None and stop.is_set():
            end()
        await asyncio.wait({serving}, timeout=_LOOK_S)
    await serving
