"""Requests of a client and the reading of their answers, apart from how they are sent."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final, Generic, TypedDict, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import numpy as np
import numpy.typing as npt

from ninefold.host.sources import Entry
from ninefold.spec.data import flattened
from ninefold.spec.errors import (
    DamagedDataError,
    DeadlineError,
    DeviceError,
    InputError,
    NinefoldError,
    UnavailableError,
    UnsupportedError,
)
from ninefold.spec.terminal import printable

from . import messages as m
from .tensors import LENGTH, InferAnswer, InferRequest, Tensors, columns, encoded, message

__all__ = [
    "DEVICES",
    "INDEXES",
    "KEY_VARIABLE",
    "LATER",
    "VERSION",
    "Call",
    "Inferred",
    "Options",
    "Retries",
    "backup",
    "check_url",
    "delete",
    "get",
    "infer",
    "part",
    "search",
    "uploaded",
    "upsert",
]

_T = TypeVar("_T")

#: Statuses after which a request may succeed later.
LATER: Final = frozenset({409, 429, 502, 503, 504})
_NO_KEY: Final = 401
#: Errors of a server that a client raises again.
_KINDS: Final = {
    kind.__name__: kind for kind in (DamagedDataError, DeadlineError, DeviceError, InputError, UnsupportedError)
}
#: Bytes of one part of an upload.
_PART: Final = 8 << 20
#: Variable of the environment with the key, so that it is in no list of processes.
KEY_VARIABLE: Final = "NINEFOLD_KEY"


@dataclass(frozen=True)
class Retries:
    """Number of attempts of a request, and the waits between them.

    Every request may be repeated: reads change nothing, and each write has an idempotency key.

    Attributes
    ----------
    times : int
        Attempts after the first.
    first_s : float
        Longest wait before the second attempt; it doubles with each, and the wait is a random part of it.
    longest_s : float
        Longest wait; also for a server that names a time.
    """

    times: int = 4
    first_s: float = 0.1
    longest_s: float = 10.0

    def wait(self, attempt: int, named: str | None) -> float:
        """Return the time before another attempt in seconds, given how many there were and ``Retry-After``."""
        if named is not None and named.isdecimal():
            return min(float(named), self.longest_s)
        return random.uniform(0, min(self.longest_s, self.first_s * 2**attempt))  # noqa: S311 - spreads attempts


@dataclass(frozen=True)
class Call(Generic[_T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    decode: Callable[[httpx.Response], _T]
    content: bytes | None = None
    params: tuple[tuple[str, str], ...] = ()
    more: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def headers(self) -> dict[str, str]:
        """Return the headers, the same for every attempt."""
        found = {} if self.content is None else dict(self.more)
        if self.method in ("PUT", "DELETE"):
            found["idempotency-key"] = secrets.token_hex(16)
        return found

    def read(self, response: httpx.Response) -> _T:
        """Return the answer, or raise the error that the server answered."""
        if 200 <= response.status_code < 300:
            try:
                return self.decode(response)
            except (msgspec.MsgspecError, InputError, KeyError, ValueError) as error:
                raise NinefoldError(f"{response.url} answered what is not of this version: {error}") from error
        detail, kind = f"status {response.status_code}, and no reason", ""
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            problem = response.json()
            detail, kind = str(problem["detail"]), problem.get("kind", "")
        said = printable(f"the server refused: {detail}", lines=True)
        if response.status_code == _NO_KEY:
            said += f"; the environment's {KEY_VARIABLE} gives the key"
        if kind in _KINDS:
            raise _KINDS[kind](said)
        if response.status_code in LATER:
            raise UnavailableError(said, "try again later")
        raise (InputError if response.status_code < 500 else NinefoldError)(said)


def _json(kind: type[_T]) -> Callable[[httpx.Response], _T]:
    return lambda response: msgspec.json.decode(response.content, type=kind)


@dataclass(frozen=True)
class Inferred:
    """Results of an operator that a server ran.

    Attributes
    ----------
    values : mapping of str to array
        Results by name; a column of a record is ``NAME.COLUMN``, lists are ``NAME.values`` and ``NAME.offsets``.
    answered_by, why : str
        Device that answered, and the reason for the choice.
    fallbacks : tuple of str
        Devices that failed.
    """

    values: Mapping[str, npt.NDArray[Any]]
    answered_by: str
    why: str
    fallbacks: tuple[str, ...]


def infer(operator: str, arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> Call[Inferred]:
    """Return the call of an operator, whose tensors are sent and answered as bytes."""
    tensors, behind = [], []
    for name, array in flattened(columns(arguments)).items():
        tensor, content = message(name, np.asarray(array), binary=True)
        tensors.append(tensor)
        behind.append(content)
    given = {name: value for name, value in parameters.items() if value is not None}
    body, headers = encoded(InferRequest(tensors, parameters={**given, "binary_data_output": True}), behind)

    def decode(response: httpx.Response) -> Inferred:
        answer = Tensors.of(InferAnswer, response.content, response.headers.get(LENGTH))
        said = answer.message.parameters
        return Inferred(answer.arrays(), said["answered_by"], said["why"], tuple(said["fallbacks"]))

    return Call("POST", f"/v2/models/{_segment(operator)}/infer", decode, body, more=headers)


def uploaded(response: httpx.Response) -> tuple[int, bool]:
    """Return the number of bytes that are there, and whether they are all."""
    return int(response.headers["upload-offset"]), response.headers["upload-complete"] == "?1"


def part(digest: str, file: IO[bytes], offset: int, size: int) -> Call[tuple[int, bool]]:
    """Return the call that appends the next part of a file."""
    file.seek(offset)
    content = file.read(_PART)
    last = "?1" if offset + len(content) == size else "?0"
    more = {"upload-offset": str(offset), "upload-complete": last, "content-type": "application/octet-stream"}
    return Call("PATCH", f"/v1/residents/{digest}", uploaded, content, more=more)


class Options(TypedDict, total=False):
    """Options of a search; `Index.search` describes them, and `include` names the parts of entries in the answer."""

    k: int
    rerank: int | None
    recall: float | None
    scan: str | None
    oversample: int | None
    macro: int | None
    micro: int | None
    where: str | None
    route: bool
    threshold: str | None
    device: str
    strict: bool
    partial: bool
    include: list[m.Part]


def search(name: str, queries: Sequence[str] | npt.NDArray[Any], options: Options) -> Call[m.SearchAnswer]:
    """Return the call of a search; raises `InputError` for queries that are no texts and no vectors."""
    if unknown := next((one for one in options if one not in Options.__annotations__), None):
        raise TypeError(f"search() got an unexpected keyword argument {unknown!r}")
    if isinstance(queries, np.ndarray):
        if queries.ndim != 2 or queries.dtype.kind != "f":
            raise InputError(f"vectors must be floats of shape (Q, D), not {queries.dtype.name} {queries.shape}")
        if not np.isfinite(queries).all():
            raise InputError("vectors must be finite")
        given: dict[str, Any] = {"vectors": queries.tolist()}
    elif isinstance(queries, str):
        raise InputError("queries must be a list of texts, or vectors of shape (Q, D), not one text")
    else:
        given = {"texts": list(queries)}
    return Call("POST", f"{_index(name)}/search", _json(m.SearchAnswer), msgspec.json.encode({**given, **options}))


def upsert(name: str, entries: Iterable[Entry], vectors: npt.NDArray[Any] | None) -> Call[m.WriteAnswer]:
    """Return the call that adds or replaces entries."""
    messages = [m.EntryMessage(e.id, e.title, e.text, dict(e.fields)) for e in entries]
    body = m.UpsertRequest(messages, None if vectors is None else np.asarray(vectors).tolist())
    return Call("PUT", f"{_index(name)}/entries", _json(m.WriteAnswer), msgspec.json.encode(body))


def _ids(ids: Iterable[str]) -> tuple[tuple[str, str], ...]:
    found = tuple(("id", one) for one in ids)
    if not 1 <= len(found) <= m.MOST_IDS:
        raise InputError(f"a request has 1 to {m.MOST_IDS} ids, not {len(found)}")
    return found


def get(name: str, ids: Iterable[str]) -> Call[m.EntriesAnswer]:
    """Return the call that reads entries; raises `InputError` for more than 100 ids, or none."""
    return Call("GET", f"{_index(name)}/entries", _json(m.EntriesAnswer), params=_ids(ids))


def delete(name: str, ids: Iterable[str]) -> Call[m.DeleteAnswer]:
    """Return the call that removes entries; raises `InputError` for more than 100 ids, or none."""
    return Call("DELETE", f"{_index(name)}/entries", _json(m.DeleteAnswer), params=_ids(ids))


def backup(name: str, series: str, keep: int | None) -> Call[m.BackedUp]:
    """Return the call that backs up an index."""
    body = msgspec.json.encode(m.BackupRequest(series, keep))
    return Call("POST", f"{_index(name)}/backup", _json(m.BackedUp), body)


def _index(name: str) -> str:
    return f"/v1/indexes/{_segment(name)}"


def _segment(name: str) -> str:
    """Return a name as one segment of a path."""
    if not name or "/" in name or name in (".", ".."):
        raise InputError(f"names at a server are without slashes, as it lists them, not {printable(name)!r}")
    return quote(name, safe="")


INDEXES: Final = Call("GET", "/v1/indexes", _json(m.IndexList))
DEVICES: Final = Call("GET", "/v1/devices", _json(m.DeviceList))
VERSION: Final = Call("GET", "/v2", lambda response: str(response.json()["version"]))


def check_url(url: str, key: str | None) -> None:
    """Raise `InputError` unless a URL is a server's, and a key may be sent to it."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InputError(f"url must be an address such as http://127.0.0.1:8900, not {printable(url)!r}") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InputError(f"url must be an address such as http://127.0.0.1:8900, not {printable(url)!r}")
    if parts.userinfo or parts.query or parts.fragment:
        raise InputError("url holds a name, a query or a fragment, and may hold none: give the key apart")
    if key is not None and parts.scheme == "http" and not _local(parts.host):
        raise InputError(f"a key is not sent to {printable(parts.host)} without TLS: give a URL with https")


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
