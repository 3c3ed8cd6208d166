"""Parts that all routes share: the caller of a request, the scope that it needs, and the audit log."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from .gate import Caller
from .keys import Scope
from .problems import ProblemError
from .service import Service

__all__ = ["AnyRequest", "Called", "Served", "caller_of", "needs", "note"]

_audit = logging.getLogger("ninefold.audit")

AnyRequest: TypeAlias = Request[Any, Any, Any]
Served: TypeAlias = NamedDependency[Service]
Called: TypeAlias = FromPath[str]


def caller_of(request: AnyRequest) -> Caller:
    """Return who asks."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def needs(scope: Scope) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]:
    """Return a guard that refuses callers whose key does not allow what a scope allows."""

    # A coroutine, since the library runs a function on a thread, for each request.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        caller: Caller = connection.scope["state"]["caller"]
        if not caller.allows(scope):
            raise ProblemError(403, f"the key {caller.id} allows {caller.scope}; this needs {scope}")

    return guard


def note(request: AnyRequest, name: str, **more: Any) -> None:
    """Append a record to the audit log; it holds digests, and no texts."""
    caller = caller_of(request)
    who = {"key": caller.id, "caller": caller.name, "method": request.method, "path": request.url.path}
    _audit.info("%s of %s", request.method, name, extra={**who, "index": name, **more})
