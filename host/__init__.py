"""Public API, backends that need no HDL, embedding, index, and the root of the command line.

Search from Python::

    from ninefold.host import Index, build

    build("notes/", "notes")
    for hit in Index.open("notes").search("where bees live", k=5, rerank=4):
        print(hit.score, hit.entry.title, hit.entry.text)

A `Scheduler` runs any operator on any device, and falls back to another device when one fails::

    from ninefold.host import Scheduler

    with Scheduler() as s:
        db = s.load(database)
        future = s.submit("mine", queries, db, k=10)
        result = future.result()  # or, in a coroutine: await future
        print(result.values["ids"], result.answered_by, result.why)

``run`` runs one task on its own scheduler. ``open_core`` opens a hardware core of one's own::

    from ninefold.host import open_core

    with open_core("dot8.py") as dot8:
        print(dot8(x=x, w=w)["sum"])

``Client`` and ``AsyncClient`` ask a server that ``ninefold serve`` runs; they need the extra ``serve``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ninefold.spec.data import Task

    from .index import Hit, Hits, Index, build
    from .own import implement, open_core
    from .scheduler import Future, Scheduler, run
    from .server.client import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
    "Future",
    "Hit",
    "Hits",
    "Index",
    "Scheduler",
    "Task",
    "build",
    "implement",
    "open_core",
    "run",
]

_HOMES = {
    "AsyncClient": "ninefold.host.server.client",
    "Client": "ninefold.host.server.client",
    "Future": "ninefold.host.scheduler",
    "Hit": "ninefold.host.index",
    "Hits": "ninefold.host.index",
    "Index": "ninefold.host.index",
    "Scheduler": "ninefold.host.scheduler",
    "Task": "ninefold.spec.data",
    "build": "ninefold.host.index",
    "implement": "ninefold.host.own",
    "open_core": "ninefold.host.own",
    "run": "ninefold.host.scheduler",
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    # Imported on first use, since the help of the command line must not wait for NumPy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    try:
        return getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if ".server." not in home:
            raise
        from ninefold.spec.errors import installs, not_installed

        raise not_installed(f"{error.name}, which a client needs,", installs("serve")) from error
