"""A search that a server does, with its answer in the form of a search on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ninefold.host import Client
from ninefold.host.index import Hit, Hits
from ninefold.host.server.messages import MOST_QUERIES, IndexMessage, SearchAnswer
from ninefold.host.sources import Entry
from ninefold.host.tiers.routing import Route
from ninefold.spec.data import Result
from ninefold.spec.errors import InputError, did_you_mean
from ninefold.spec.terminal import printable

from .queries import Asked, Takes, asked

__all__ = ["searched"]


def searched(
    url: str, name: str, query: str | None, queries: str | None, k: int, options: Mapping[str, Any]
) -> tuple[dict[str, Any], Asked, list[Hits], str | None]:
    """Search an index of a server.

    Returns
    -------
    dict
        Fields of the index for a report.
    Asked
        The queries.
    list of Hits
        Their hits.
    str or None
        The server's warning, if no entry meets the filter.

    Raises
    ------
    InputError
        The server has no such index, or refuses the search.
    UnavailableError
        No server answers.
    """
    with Client(url) as client:
        index = _index(client, name)
        wanted = asked(Takes(name, index.model is not None, index.dimensions), query, queries)
        if any(isinstance(one, int) for one in wanted.queries):
            raise InputError("a server takes vectors, and no numbers of rows: give a .npy file")
        given = {key: value for key, value in options.items() if value is not None}
        hits: list[Hits] = []
        warnings: list[str | None] = []
        for first in range(0, len(wanted.queries), MOST_QUERIES):
            some: Any = wanted.queries[first : first + MOST_QUERIES]
            answer = client.search(name, some if index.model else np.stack(some), k=k, **given)
            hits += _hits(answer)
            warnings.append(answer.warning)
    about = {"index": name, "server": url, "rows": index.entries, "dimensions": index.dimensions}
    return about, wanted, hits, warnings[0] if all(warnings) else None


def _index(client: Client, name: str) -> IndexMessage:
    found = {index.name: index for index in client.indexes()}
    if name not in found:
        known = ", ".join(found) or "none"
        raise InputError(printable(f"{client.url} has no index {name}, only {known}") + did_you_mean(name, found))
    return found[name]


def _hits(answer: SearchAnswer) -> list[Hits]:
    found = []
    floats = answer.score.endswith("float vectors")
    for number, hits in enumerate(answer.hits):
        said = answer.routes[number] if answer.routes else None
        route = None if said is None else Route(said.stage, said.confidence, said.confident, (), (), {})
        scores = np.array([hit.score for hit in hits], np.float64 if floats else np.int32)
        result = Result(
            {"scores": scores},
            metrics={"seconds": answer.seconds.search},
            asked_for=answer.asked_for,
            answered_by=answer.answered_by,
            why=answer.why,
            fallbacks=tuple(answer.fallbacks),
        )
        some = [
            Hit(hit.row, hit.score, Entry(hit.id, hit.title or "", hit.text or "", hit.fields or {})) for hit in hits
        ]
        found.append(Hits(tuple(some), result, answer.seconds.embed, route=route))
    return found
