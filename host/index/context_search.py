"""Search of an index of context vectors, as ``search6d`` does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ninefold.host.scheduler import AUTO, Scheduler
from ninefold.host.sources import contexts
from ninefold.numerics.ranked import best
from ninefold.numerics.vector6d import Vector6DColumns, decode
from ninefold.spec.context import CANDIDATES
from ninefold.spec.errors import InputError
from ninefold.spec.formats import K_MAX

from .filters import parse
from .read import Hit, Hits, Snapshot

__all__ = ["search_contexts"]

_MOST = K_MAX // CANDIDATES


def search_contexts(
    snapshot: Snapshot,
    records: Vector6DColumns,
    k: int = 10,
    *,
    where: str | None = None,
    device: str = AUTO,
    strict: bool = False,
    scheduler: Scheduler | None = None,
) -> list[Hits]:
    """Find the entries most similar to each record.

    The best 4 k entries by the nits of their embeddings are scored by ``similarity6d`` on the CPU. Of equal scores the
    entry that was added first is the best.

    Parameters
    ----------
    snapshot : Snapshot
        Version of an index.
    records : Vector6DColumns
        Queries. An embedding of zeros is refused.
    k : int
        Number of hits, 1 to 64.
    where, device, strict, scheduler
        As `Snapshot.search` takes them; the device finds the candidates.

    Returns
    -------
    list of Hits
        One for each record, with similarities as scores.

    Raises
    ------
    InputError
        The index holds no context vectors, or a query or an option is invalid.
    """
    if not snapshot.manifest.contexts:
        raise InputError(
            f"{snapshot.called} holds no context vectors; `ninefold index FILE.bin` builds an index of them"
        )
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= _MOST:
        raise InputError(f"k must be an integer from 1 to {_MOST} for context vectors, not {k!r}")
    contexts.check(records, "the query")
    vectors = contexts.vectors_of(records)
    if (empty := np.flatnonzero(~vectors.any(axis=1))).size:
        raise InputError(f"the query: the embedding of record {empty[0]} is all zeros, which have no nearest entries")
    condition = None if where is None else parse(where)
    if not len(records):
        return []
    if scheduler is None:
        with Scheduler() as own:
            return search_contexts(snapshot, records, k, where=where, device=device, strict=strict, scheduler=own)
    allowed = scanned = None
    if condition is not None:
        allowed, scanned = snapshot.allowed(condition), snapshot.scanned(condition)
    options: dict[str, Any] = {"k": CANDIDATES * k, "device": device, "strict": strict}
    result = snapshot.mine(vectors, scheduler=scheduler, allowed=allowed, **options)
    found = []
    for number in range(len(records)):
        near = snapshot.hits(result, number)
        hits = _rescored(scheduler, records[number : number + 1], near, k) if near else ()
        found.append(Hits(hits, result, 0.0, scanned=scanned, contexts=True))
    snapshot.note_uses(vectors, found)
    return found


def _rescored(scheduler: Scheduler, query: Vector6DColumns, near: tuple[Hit, ...], k: int) -> tuple[Hit, ...]:
    """Return the best k of some hits by the similarity of their records."""
    ordered = sorted(near, key=lambda hit: hit.row)
    records = decode(b"".join(hit.entry.context for hit in ordered))
    scored = scheduler.run("similarity6d", query.arrays, records.arrays, device="cpu").values["similarity"]
    places, scores = best(scored[0], k)
    return tuple(
        replace(ordered[place], score=score) for place, score in zip(places.tolist(), scores.tolist(), strict=True)
    )
