"""Public API, backends that need no HDL, embedding, index, and the command line's frame.

Search from Python::

    from ninefold.host import Index, build

    build("notes/", "notes")
    for hit in Index.open("notes").search("where bees live", k=5, rerank=4):
        print(hit.score, hit.entry.title, hit.entry.text)

``run`` and ``Session`` run any operator on any device::

    from ninefold.host import Task, run

    result = run(Task("topk", {"scores": scores}, {"k": 3}, device="rtl"))
    print(result.values["ids"], result.answered_by, result.why)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ninefold.spec.data import Task

    from .dispatch import Session, run
    from .index import Hit, Hits, Index, build

__all__ = ["Hit", "Hits", "Index", "Session", "Task", "build", "run"]

_HOMES = {
    "Hit": "ninefold.host.index",
    "Hits": "ninefold.host.index",
    "Index": "ninefold.host.index",
    "Session": "ninefold.host.dispatch",
    "Task": "ninefold.spec.data",
    "build": "ninefold.host.index",
    "run": "ninefold.host.dispatch",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: the command line's help must not wait for NumPy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
