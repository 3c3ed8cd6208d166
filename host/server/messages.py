"""Bodies of requests and answers of ``/v1``: the schema of the server and of its client."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

__all__ = [
    "MOST_IDS",
    "MOST_QUERIES",
    "BackedUp",
    "BackupRequest",
    "DeleteAnswer",
    "DeviceList",
    "EntriesAnswer",
    "EntryMessage",
    "FoundEntry",
    "IndexList",
    "IndexMessage",
    "Part",
    "ProblemMessage",
    "SearchAnswer",
    "SearchRequest",
    "Times",
    "UpsertRequest",
    "WriteAnswer",
]

#: Queries of one search, and ids of one request.
MOST_QUERIES: Final = 1024
MOST_IDS: Final = 100

#: Parts of an entry that an answer may hold, beside its id.
Part = Literal["title", "text", "fields"]

_Vector = Annotated[list[float], Meta(min_length=1, max_length=4096)]
_Count = Annotated[int, Meta(ge=0)]


class EntryMessage(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Entry of an index; `Entry` describes its parts."""

    id: Annotated[str, Meta(min_length=1)]
    title: str = ""
    text: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


class ProblemMessage(Struct, omit_defaults=True):
    """Error of a request (RFC 9457). `error` is `detail`; `kind` is the class of Ninefold's error."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    kind: str = ""


class SearchRequest(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Queries, either texts or vectors, and options as `Index.search` describes them."""

    texts: Annotated[list[str], Meta(min_length=1, max_length=MOST_QUERIES)] | None = None
    vectors: Annotated[list[_Vector], Meta(min_length=1, max_length=MOST_QUERIES)] | None = None
    k: Annotated[int, Meta(ge=1, le=256)] = 10
    rerank: Annotated[int, Meta(ge=1, le=256)] | None = None
    recall: Annotated[float, Meta(gt=0, le=1)] | None = None
    scan: Literal["nits", "signs"] | None = None
    oversample: Annotated[int, Meta(ge=1, le=64)] | None = None
    macro: Annotated[int, Meta(ge=1, le=64)] | None = None
    micro: Annotated[int, Meta(ge=1, le=16)] | None = None
    where: str | None = None
    route: bool = False
    threshold: Literal["adaptive"] | None = None
    device: str = "auto"
    strict: bool = False
    partial: bool = False
    include: list[Part] = field(default_factory=lambda: ["title", "text", "fields"])


class FoundEntry(Struct, omit_defaults=True):
    """Hit: score, row of the searched version, and the parts of the entry that were asked for."""

    id: str
    score: int | float
    row: int
    title: str | None = None
    text: str | None = None
    fields: dict[str, Any] | None = None


class RouteMessage(Struct):
    """Stage of the tiers that answered a query, and its confidence; not confident means that all rows were scored."""

    stage: Literal["hot", "warm", "cold", "exact"]
    confidence: float
    confident: bool


class Times(Struct):
    """Times of a search in seconds: embedding of all its texts, the task, and all of the server's work."""

    embed: float
    search: float
    total: float


class SearchAnswer(Struct, kw_only=True):
    """Hits of each query, best first, and who answered; a warning if no entry meets the filter."""

    index: str
    hits: list[list[FoundEntry]]
    score: str
    asked_for: str
    answered_by: str
    why: str
    fallbacks: list[str]
    seconds: Times
    setting: str | None = None
    routes: list[RouteMessage] | None = None
    warning: str | None = None


class UpsertRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Entries to add or to replace by id; vectors for an index of vectors."""

    entries: Annotated[list[EntryMessage], Meta(min_length=1)]
    vectors: list[_Vector] | None = None


class WriteAnswer(Struct):
    """Numbers of entries that a write changed, once it is on the disk."""

    added: _Count = 0
    replaced: _Count = 0
    removed: _Count = 0


class EntriesAnswer(Struct):
    """Entries of the ids that were asked for, and the ids without one."""

    entries: list[EntryMessage]
    missing: list[str]


class DeleteAnswer(Struct):
    """Number of entries that were removed."""

    removed: _Count


class IndexMessage(Struct):
    """Index that the server has."""

    name: str
    entries: _Count
    dimensions: int
    model: str | None
    generation: int
    writable: bool
    fields: dict[str, str]


class IndexList(Struct):
    """All indexes of the server."""

    indexes: list[IndexMessage]


class BackupRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Name of a series of backups in the server's folder of backups, and how many of the newest to keep."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    keep: Annotated[int, Meta(ge=1)] | None = None


class BackedUp(Struct):
    """Backup that was made."""

    name: str
    number: int
    entries: _Count
    bytes: _Count
    new_bytes: _Count


class DeviceList(Struct):
    """Devices of the server, as ``ninefold devices --json`` lists them."""

    devices: list[dict[str, Any]]
