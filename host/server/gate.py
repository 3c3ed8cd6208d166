"""Gate in front of all routes: who asks, by which name, how often and how slowly; and an account of every answer."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from ninefold.spec.terminal import printable

from .keys import SCOPES, KeyFile, RefusedKeyError, Scope
from .meters import Meters
from .problems import MEDIA_TYPE, Problem, ProblemError, problem_of

__all__ = ["ANYONE", "OPEN", "SCHEMA", "Caller", "Gate"]

_log = logging.getLogger(__name__)

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[Any, Any, Any], Awaitable[None]]

#: Paths that need no key: health, and the page in which a person enters one.
OPEN: Final = frozenset({"/", "/v2/health/live", "/v2/health/ready"})
#: Path of the schema.
SCHEMA: Final = "/openapi.json"
#: Longest path with its query in bytes.
_LONGEST_PATH: Final = 16_384


@dataclass(frozen=True)
class Caller:
    """Caller of a request: id and name of a key, and what it allows."""

    id: str
    name: str
    scope: Scope

    def allows(self, scope: Scope) -> bool:
        """Return whether the caller may do what a scope allows."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


#: Caller of a server without keys, which only this machine reaches.
ANYONE: Final = Caller("", "anyone", "admin")


class Gate:
    """ASGI application that lets requests through to another.

    Parameters
    ----------
    app : ASGI application
        The routes. They find the caller in ``scope["state"]["caller"]``.
    keys : KeyFile or None
        Keys of callers; without any, everyone may do everything.
    hosts : iterable of str
        Names by which the server may be called, without port, so that a page of another site cannot reach it by a name
        of its own.
    seconds : float
        Time for a body to arrive.
    meters : Meters
    """

    def __init__(
        self, app: _App, *, keys: KeyFile | None, hosts: Iterable[str], seconds: float, meters: Meters
    ) -> None:
        self._app, self._keys, self._seconds, self._meters = app, keys, seconds, meters
        self._hosts = frozenset(host.lower() for host in hosts)
        self._rates = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Any, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def sent(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                message["headers"] = [*message["headers"], *_SAFE]
            await send(message)

        caller = None
        try:
            headers = _headers(scope["headers"])
            self._check(scope, headers)
            if scope["path"].startswith(f"{SCHEMA}/"):  # the library would answer with a page in HTML
                raise ProblemError(404, f"there is nothing below {SCHEMA}")
            caller = self._caller(scope["path"], headers)
            scope.setdefault("state", {})["caller"] = caller
            await self._app(scope, self._timely(receive), sent)
        except Exception as error:
            await _refuse(problem_of(error), sent)
        finally:
            seconds = time.perf_counter() - started
            route = str(scope.get("path_template") or ("/" if scope["path"] == "/" else "unknown"))
            self._meters.count(scope["method"], route, status, seconds)
            _log.info(
                "%s %s %d",
                scope["method"],
                route,
                status,
                extra={"key": caller.id if caller else "", "status": status, "seconds": round(seconds, 6)},
            )

    def _check(self, scope: Any, headers: dict[str, list[str]]) -> None:
        """Refuse a request that its head condemns."""
        if len(scope["raw_path"] or b"") + len(scope["query_string"]) > _LONGEST_PATH:
            raise ProblemError(414, f"a path with its query has at most {_LONGEST_PATH:,} bytes")
        for name in ("host", "authorization", "origin", "content-length", "idempotency-key"):
            if len(headers.get(name, ())) > 1:
                raise ProblemError(400, f"{name} is given {len(headers[name])} times, and may be given once")
        if "content-length" in headers and "transfer-encoding" in headers:
            raise ProblemError(400, "content-length and transfer-encoding exclude each other")
        host = _host(headers.get("host", [""])[0])
        if host not in self._hosts:
            allowed = ", ".join(sorted(self._hosts))
            raise ProblemError(421, f"the host {printable(host) or 'of the request'} is not this server ({allowed})")
        if origin := headers.get("origin"):
            site = urlsplit(origin[0]).netloc.lower()
            if site != headers["host"][0].lower():
                raise ProblemError(403, f"pages of {printable(origin[0])} may not ask this server")
        encoding = headers.get("content-encoding", ["identity"])
        if encoding != ["identity"]:
            raise ProblemError(415, f"content-encoding must be identity, not {printable(', '.join(encoding))}")
        if b"nf_" in scope["query_string"]:
            raise ProblemError(400, "a key belongs in the header Authorization, not in the URL: remove this key")

    def _caller(self, path: str, headers: dict[str, list[str]]) -> Caller:
        if self._keys is None:
            return ANYONE
        if path in OPEN:
            return Caller("", "anyone", "read")
        scheme, _, token = headers.get("authorization", [""])[0].partition(" ")
        asks = {"www-authenticate": 'Bearer realm="ninefold"'}
        if scheme.lower() != "bearer" or not token:
            raise ProblemError(401, "a key is needed: Authorization: Bearer nf_ID_SECRET", asks)
        try:
            key = self._keys.open(token.strip())
        except RefusedKeyError as error:
            raise ProblemError(401, str(error), asks) from None
        rate = RateLimitItemPerMinute(key.rate)
        if not self._rates.hit(rate, key.id):
            after = max(1, math.ceil(self._rates.get_window_stats(rate, key.id).reset_time - time.time()))
            raise ProblemError(
                429, f"the key {key.id} allows {key.rate:,} requests a minute", {"retry-after": str(after)}
            )
        return Caller(key.id, key.name, key.scope)

    def _timely(self, receive: _Receive) -> _Receive:
        """Return `receive` with a time limit on the whole body."""
        until: float | None = None
        ended = False

        async def received() -> _Message:
            nonlocal until, ended
            if ended:  # only the end of the connection is left to come
                return await receive()
            now = time.monotonic()
            until = now + self._seconds if until is None else until
            try:
                message = await asyncio.wait_for(receive(), max(0.0, until - now))
            except TimeoutError:
                raise ProblemError(
                    408, f"the body did not arrive within {self._seconds:g} s", {"connection": "close"}
                ) from None
            if message["type"] == "http.disconnect":
                raise ProblemError(400, "the connection ended before the body did")
            ended = not message.get("more_body", False)
            return message

        return received


#: Headers of every answer: nothing is guessed, framed, cached or told to other sites.
_SAFE: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


def _headers(given: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in given:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
    return found


def _host(header: str) -> str:
    """Return the name in a header ``Host``, without port and in lower case; empty if it is no host."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises for anything but a number
    except ValueError:
        return ""
    plain = parts.path or parts.query or parts.fragment or "@" in header
    return "" if plain else (parts.hostname or "").lower()


async def _refuse(problem: Problem, send: _Send) -> None:
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(problem.body)), **problem.headers}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": pairs})
    await send({"type": "http.response.body", "body": problem.body})
