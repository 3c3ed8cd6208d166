"""Routes of ``/v1``: indexes, devices and metrics."""

import functools
import logging
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import numpy as np
from litestar import MediaType, Response, delete, get, post, put
from litestar.params import JSONBody, QueryParameter

from ninefold.host.cluster import ShardedIndex
from ninefold.host.index import Hits, Index
from ninefold.host.index.backup import backup
from ninefold.host.index.unmet import unmet
from ninefold.host.sources import Entry
from ninefold.host.tiers.routing import Route
from ninefold.spec.errors import InputError

from . import messages as m
from .guards import AnyRequest, Called, Served, caller_of, needs, note
from .problems import ProblemError
from .service import Service, digest_of

__all__ = ["ROUTES"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_LONGEST_TOKEN: Final = 255
#: Options of a search that are passed on as they are.
_OPTIONS: Final = ("rerank", "recall", "scan", "oversample", "macro", "micro", "where", "threshold")
_Ids = Annotated[list[str], QueryParameter(name="id", min_items=1, max_items=m.MOST_IDS, description="Ids of entries.")]


@get("/v1/indexes", guards=[needs("read")], summary="List the indexes")
async def list_indexes(service: Served) -> m.IndexList:
    """List the indexes of this server."""
    return await service.run(lambda: m.IndexList([_described(name, one) for name, one in service.indexes.items()]))


def _described(name: str, index: Index) -> m.IndexMessage:
    with index.snapshot() as snapshot:
        manifest = snapshot.manifest
        fields = {field.name: field.type for field in manifest.declared}
        number = snapshot.generation.number
        return m.IndexMessage(
            name, len(snapshot), manifest.dimensions, manifest.model or None, number, not index.read_only, dict(fields)
        )


@post("/v1/indexes/{name:str}/search", status_code=200, guards=[needs("read")], summary="Search an index")
async def search(name: Called, data: JSONBody[m.SearchRequest], service: Served) -> m.SearchAnswer:
    """Find the entries nearest to each text or vector."""
    index = service.index(name)
    queries = [text if service.log_texts else digest_of(text.encode()) for text in data.texts or ()]
    _log.info("search of %s", name, extra={"index": name, "texts": queries, "k": data.k})
    return await service.run(functools.partial(_search, service, name, index, data))


def _search(service: Service, name: str, index: Index, asked: m.SearchRequest) -> m.SearchAnswer:
    start = time.perf_counter()
    if (asked.texts is None) == (asked.vectors is None):
        raise InputError("give either texts or vectors")
    service.check_device(asked.device)
    queries: Any = asked.texts if asked.vectors is None else [*_matrix(asked.vectors, index.manifest.dimensions)]
    options = {name: getattr(asked, name) for name in _OPTIONS}
    if isinstance(index, ShardedIndex):
        if asked.route:
            raise InputError(f"{name} is sharded, and tiers are of an index on one machine: leave out route")
        options["partial"] = asked.partial  # of no other index can a part be missing
    elif asked.route:
        options["route"] = True
    found = index.search(
        queries, asked.k, scheduler=service.scheduler, device=asked.device, strict=asked.strict, **options
    )
    result = found[0].result
    seconds = m.Times(
        sum(hits.embed_seconds for hits in found), result.metrics.get("seconds", 0.0), time.perf_counter() - start
    )
    return m.SearchAnswer(
        index=name,
        hits=[_hits(hits, asked.include) for hits in found],
        score=f"dot product of the {'float vectors' if result.values['scores'].dtype.kind == 'f' else 'nits'}",
        asked_for=result.asked_for,
        answered_by=result.answered_by,
        why=result.why,
        fallbacks=list(dict.fromkeys(text for hits in found for text in hits.fallbacks)),
        seconds=seconds,
        setting=None if found[0].setting is None else str(found[0].setting),
        routes=[_route(hits.route) for hits in found if hits.route is not None] or None,
        warning=unmet(index) if asked.where is not None and not any(hits.hits for hits in found) else None,
    )


def _route(route: Route) -> m.RouteMessage:
    return m.RouteMessage(route.stage, route.confidence, route.confident)  # type: ignore[arg-type]


def _hits(hits: Hits, include: list[m.Part]) -> list[m.FoundEntry]:
    found = []
    for hit in hits:
        entry: Any = hit.entry
        parts = {part: getattr(entry, part) for part in include}
        if "fields" in parts:
            parts["fields"] = dict(parts["fields"])
        found.append(m.FoundEntry(hit.id, hit.score, hit.row, **parts))
    return found


def _matrix(rows: list[list[float]], dimensions: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    for number, row in enumerate(rows):
        if len(row) != dimensions:
            raise InputError(f"vector {number} has {len(row)} dimensions, and the index {dimensions}")
    with np.errstate(over="ignore"):  # the index refuses infinities
        return np.array(rows, np.float32)


@put("/v1/indexes/{name:str}/entries", status_code=200, guards=[needs("write")], summary="Add or replace entries")
async def upsert(
    request: AnyRequest, name: Called, data: JSONBody[m.UpsertRequest], service: Served
) -> Response[m.WriteAnswer]:
    """Add entries, or replace those whose ids are there; the answer comes once they are on the disk.

    With a header Idempotency-Key, a request that is repeated within 24 hours changes nothing, and gets the first one's
    answer.
    """
    index = service.index(name)
    if len(data.entries) > service.limits.entries:
        raise ProblemError(413, f"a write has at most {service.limits.entries:,} entries, not {len(data.entries):,}")
    vectors = None if data.vectors is None else _matrix(data.vectors, index.manifest.dimensions)
    entries = [Entry(one.id, one.title, one.text, one.fields) for one in data.entries]

    def write(key: str | None) -> m.WriteAnswer:
        written = index.upsert(entries, vectors, key=key)
        return m.WriteAnswer(written.added, written.replaced, written.removed)

    return await _once(request, service, name, write, len(entries))


@get("/v1/indexes/{name:str}/entries", guards=[needs("read")], summary="Read entries")
async def read_entries(name: Called, service: Served, ids: _Ids) -> m.EntriesAnswer:
    """Return the entries of up to 100 ids, all of one version."""
    index = service.index(name)

    def read() -> m.EntriesAnswer:
        with index.snapshot() as snapshot:
            found = {one: snapshot.get(one) for one in dict.fromkeys(ids)}
        entries = [m.EntryMessage(e.id, e.title, e.text, dict(e.fields)) for e in found.values() if e is not None]
        return m.EntriesAnswer(entries, [one for one, entry in found.items() if entry is None])

    return await service.run(read)


@delete("/v1/indexes/{name:str}/entries", status_code=200, guards=[needs("write")], summary="Remove entries")
async def delete_entries(request: AnyRequest, name: Called, service: Served, ids: _Ids) -> Response[m.DeleteAnswer]:
    """Remove the entries of up to 100 ids; ids without an entry are ignored."""
    index = service.index(name)

    def remove(key: str | None) -> m.DeleteAnswer:
        return m.DeleteAnswer(index.delete(ids, key=key).removed)

    return await _once(request, service, name, remove, len(ids))


async def _once(
    request: AnyRequest, service: Service, name: str, write: Callable[[str | None], _T], count: int
) -> Response[_T]:
    """Do a write, once for each idempotency key of a caller, and note it in the audit log."""
    caller = caller_of(request)
    token = request.headers.get("idempotency-key")
    target = (request.method, request.url.path, str(request.url.query))
    digest = digest_of(*(part.encode() for part in target), await request.body())
    key = None
    if token is not None:
        if not 1 <= len(token) <= _LONGEST_TOKEN:
            raise InputError(f"an idempotency key has 1 to {_LONGEST_TOKEN} characters, not {len(token)}")
        key = digest_of(caller.id.encode(), token.encode())
        earlier = service.replies.begin(caller.id, token, digest)
        if earlier is not None:
            return Response(earlier, headers={"idempotency-replayed": "true"})

    def ended(answer: _T | None) -> None:
        # Once it has ended, not once it has been answered: a write that takes too long may still be made.
        if token is not None:
            service.replies.end(caller.id, token, answer)
        note(request, name, entries=count, sha256=digest, done=answer is not None)

    return Response(await service.run(functools.partial(write, key), ended))


@post("/v1/indexes/{name:str}/backup", status_code=200, guards=[needs("admin")], summary="Back up an index")
async def back_up(request: AnyRequest, name: Called, data: JSONBody[m.BackupRequest], service: Served) -> m.BackedUp:
    """Back up an index to the folder of a name below the server's folder of backups."""
    index = service.index(name)

    def make() -> m.BackedUp:
        service.backups.mkdir(parents=True, exist_ok=True)
        made = backup(str(index.folder), service.backups / data.name, keep=data.keep)
        return m.BackedUp(data.name, made.number, made.rows, made.bytes, made.new_bytes)

    return await service.run(make, lambda made: note(request, name, backup=data.name, done=made is not None))


@get("/v1/devices", guards=[needs("read")], summary="List the devices")
async def list_devices(service: Served) -> m.DeviceList:
    """List the devices found, and the reason for each that is missing."""
    return await service.run(lambda: m.DeviceList([status.record() for status in service.scheduler.devices()]))


@get("/metrics", guards=[needs("read")], media_type=MediaType.TEXT, summary="Metrics in the text format of Prometheus")
async def metrics(service: Served) -> str:
    """Return the metrics of scheduler and server."""
    return await service.run(service.scheduler.metrics)


ROUTES: Final = (list_indexes, search, upsert, read_entries, delete_entries, back_up, list_devices, metrics)
