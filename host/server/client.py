"""Clients of a server: `Client`, and `AsyncClient` for coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import random
import secrets
import ssl
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final, Generic, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx
import msgspec
import numpy as np
import numpy.typing as npt

from ninefold.host.sources import Entry
from ninefold.spec.data import Database, flattened
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
from .residents import pack
from .tensors import LENGTH, InferAnswer, InferRequest, Tensors, columns, encoded, message

__all__ = ["AsyncClient", "Client", "Inferred", "Options", "Retries"]

_T = TypeVar("_T")

#: Statuses after which a request may succeed later.
_LATER: Final = frozenset({409, 429, 502, 503, 504})
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
class _Call(Generic[_T]):
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
        if kind in _KINDS:
            raise _KINDS[kind](said)
        if response.status_code in _LATER:
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


def _infer(operator: str, arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> _Call[Inferred]:
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

    return _Call("POST", f"/v2/models/{_segment(operator)}/infer", decode, body, more=headers)


def _uploaded(response: httpx.Response) -> tuple[int, bool]:
    return int(response.headers["upload-offset"]), response.headers["upload-complete"] == "?1"


def _part(digest: str, file: IO[bytes], offset: int, size: int) -> _Call[tuple[int, bool]]:
    """Return the call that appends the next part of a file."""
    file.seek(offset)
    content = file.read(_PART)
    last = "?1" if offset + len(content) == size else "?0"
    more = {"upload-offset": str(offset), "upload-complete": last, "content-type": "application/octet-stream"}
    return _Call("PATCH", f"/v1/residents/{digest}", _uploaded, content, more=more)


class Options(TypedDict, total=False):
    """Options of a search; `Index.search` describes them, and `include` names the parts of entries in the answer."""

    k: int
    rerank: int | None
    recall: float | None
    scan: str | None
    oversample: int | None
    where: str | None
    threshold: str | None
    device: str
    strict: bool
    include: list[m.Part]


def _search(name: str, queries: Sequence[str] | npt.NDArray[Any], options: Options) -> _Call[m.SearchAnswer]:
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
    return _Call("POST", f"{_index(name)}/search", _json(m.SearchAnswer), msgspec.json.encode({**given, **options}))


def _upsert(name: str, entries: Iterable[Entry], vectors: npt.NDArray[Any] | None) -> _Call[m.WriteAnswer]:
    messages = [m.EntryMessage(e.id, e.title, e.text, dict(e.fields)) for e in entries]
    body = m.UpsertRequest(messages, None if vectors is None else np.asarray(vectors).tolist())
    return _Call("PUT", f"{_index(name)}/entries", _json(m.WriteAnswer), msgspec.json.encode(body))


def _ids(ids: Iterable[str]) -> tuple[tuple[str, str], ...]:
    found = tuple(("id", one) for one in ids)
    if not 1 <= len(found) <= m.MOST_IDS:
        raise InputError(f"a request has 1 to {m.MOST_IDS} ids, not {len(found)}")
    return found


def _get(name: str, ids: Iterable[str]) -> _Call[m.EntriesAnswer]:
    return _Call("GET", f"{_index(name)}/entries", _json(m.EntriesAnswer), params=_ids(ids))


def _delete(name: str, ids: Iterable[str]) -> _Call[m.DeleteAnswer]:
    return _Call("DELETE", f"{_index(name)}/entries", _json(m.DeleteAnswer), params=_ids(ids))


def _backup(name: str, series: str, keep: int | None) -> _Call[m.BackedUp]:
    body = msgspec.json.encode(m.BackupRequest(series, keep))
    return _Call("POST", f"{_index(name)}/backup", _json(m.BackedUp), body)


def _index(name: str) -> str:
    return f"/v1/indexes/{_segment(name)}"


def _segment(name: str) -> str:
    """Return a name as one segment of a path."""
    if not name or "/" in name or name in (".", ".."):
        raise InputError(f"names at a server are without slashes, as it lists them, not {printable(name)!r}")
    return quote(name, safe="")


_INDEXES: Final = _Call("GET", "/v1/indexes", _json(m.IndexList))
_DEVICES: Final = _Call("GET", "/v1/devices", _json(m.DeviceList))


class _Base:
    """Address, key and retries of a client."""

    def __init__(self, url: str, key: str | None, retries: Retries | None) -> None:
        self.url = url.rstrip("/")
        self.retries = retries or Retries()
        key = key or os.environ.get(KEY_VARIABLE) or None
        _check(self.url, key)
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def _again(self, attempt: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the wait before another attempt, or None to take the outcome."""
        if attempt >= self.retries.times:
            return None
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in _LATER:
                return None
            return self.retries.wait(attempt, outcome.headers.get("retry-after"))
        return self.retries.wait(attempt, None)

    def _failed(self, error: httpx.TransportError) -> UnavailableError:
        reason = printable(str(error)) or type(error).__name__
        return UnavailableError(f"no answer from {printable(self.url)}: {reason}", "`ninefold serve` starts a server")


class Client(_Base):
    """Client of a server; a context manager. Thread-safe.

    ::

        with Client("http://127.0.0.1:8900") as client:
            answer = client.search("notes", ["where bees live"], k=5)
            print(answer.hits[0][0].id, answer.answered_by)

    Parameters
    ----------
    url : str
        Address, such as ``https://search.example:8900``.
    key : str, optional
        Key of the form ``nf_ID_SECRET``; by default the environment's ``NINEFOLD_KEY``. It is sent over TLS, or to this
        machine, and nowhere else.
    timeout_s : float
        Time for one attempt in seconds.
    retries : Retries, optional
    verify : bool or ssl.SSLContext
        As httpx takes it: certificates of a private authority need a context.

    Raises
    ------
    InputError
        The server refuses a request, with its sentence.
    UnavailableError
        No server answers, or it is busy, after all attempts.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = 60.0,
        retries: Retries | None = None,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        super().__init__(url, key, retries)
        self._http = httpx.Client(base_url=self.url, headers=self._headers, timeout=timeout_s, verify=verify)

    def search(
        self, name: str, queries: Sequence[str] | npt.NDArray[Any], **options: Unpack[Options]
    ) -> m.SearchAnswer:
        """Find the entries of an index nearest to texts, or to float vectors of shape (Q, D)."""
        return self._run(_search(name, queries, options))

    def upsert(self, name: str, entries: Iterable[Entry], vectors: npt.NDArray[Any] | None = None) -> m.WriteAnswer:
        """Add or replace entries, once, however often the request is repeated."""
        return self._run(_upsert(name, entries, vectors))

    def get(self, name: str, ids: Iterable[str]) -> m.EntriesAnswer:
        """Return the entries of up to 100 ids."""
        return self._run(_get(name, ids))

    def delete(self, name: str, ids: Iterable[str]) -> m.DeleteAnswer:
        """Remove the entries of up to 100 ids."""
        return self._run(_delete(name, ids))

    def backup(self, name: str, series: str, keep: int | None = None) -> m.BackedUp:
        """Back up an index under a name in the server's folder of backups."""
        return self._run(_backup(name, series, keep))

    def indexes(self) -> list[m.IndexMessage]:
        """Return all indexes of the server."""
        return self._run(_INDEXES).indexes

    def devices(self) -> list[dict[str, Any]]:
        """Return all devices of the server, found or missing, as ``ninefold devices --json`` prints them."""
        return self._run(_DEVICES).devices

    def infer(
        self, operator: str, arguments: Mapping[str, Any], *, database: str | None = None, **options: Any
    ) -> Inferred:
        """Run an operator without a state.

        Parameters
        ----------
        operator : str
        arguments : mapping of str to array, record or RaggedArray
            Arguments by name, without databases.
        database : str, optional
            Index of the server, or digest that `upload` returned.
        **options
            Options of the operator, and ``device`` and ``strict``.
        """
        return self._run(_infer(operator, arguments, {"database": database, **options}))

    def upload(self, database: Database) -> str:
        """Upload a database for later calls and return its digest; what an earlier attempt sent is not sent again."""
        digest = database.digest
        with tempfile.TemporaryFile() as file:
            pack(database, file)
            size = file.tell()
            offset, complete = self._run(_Call("HEAD", f"/v1/residents/{digest}", _uploaded))
            while not complete:
                offset, complete = self._run(_part(digest, file, offset, size))
        return digest

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, call: _Call[_T]) -> _T:
        headers, attempt = call.headers(), 0
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(
                    call.method, call.path, params=call.params, content=call.content, headers=headers
                )
            except httpx.TransportError as error:
                outcome = error
            wait = self._again(attempt, outcome)
            if wait is None:
                if isinstance(outcome, httpx.Response):
                    return call.read(outcome)
                raise self._failed(outcome) from outcome
            attempt += 1
            time.sleep(wait)


class AsyncClient(_Base):
    """Client of a server for coroutines; an asynchronous context manager. It has the methods of `Client`."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = 60.0,
        retries: Retries | None = None,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        super().__init__(url, key, retries)
        self._http = httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=timeout_s, verify=verify)

    async def search(
        self, name: str, queries: Sequence[str] | npt.NDArray[Any], **options: Unpack[Options]
    ) -> m.SearchAnswer:
        """Find the entries of an index nearest to texts or vectors; see `Client.search`."""
        return await self._run(_search(name, queries, options))

    async def upsert(
        self, name: str, entries: Iterable[Entry], vectors: npt.NDArray[Any] | None = None
    ) -> m.WriteAnswer:
        """Add or replace entries; see `Client.upsert`."""
        return await self._run(_upsert(name, entries, vectors))

    async def get(self, name: str, ids: Iterable[str]) -> m.EntriesAnswer:
        """Return the entries of up to 100 ids."""
        return await self._run(_get(name, ids))

    async def delete(self, name: str, ids: Iterable[str]) -> m.DeleteAnswer:
        """Remove the entries of up to 100 ids."""
        return await self._run(_delete(name, ids))

    async def backup(self, name: str, series: str, keep: int | None = None) -> m.BackedUp:
        """Back up an index; see `Client.backup`."""
        return await self._run(_backup(name, series, keep))

    async def indexes(self) -> list[m.IndexMessage]:
        """Return all indexes of the server."""
        return (await self._run(_INDEXES)).indexes

    async def devices(self) -> list[dict[str, Any]]:
        """Return all devices of the server; see `Client.devices`."""
        return (await self._run(_DEVICES)).devices

    async def infer(
        self, operator: str, arguments: Mapping[str, Any], *, database: str | None = None, **options: Any
    ) -> Inferred:
        """Run an operator without a state; see `Client.infer`."""
        return await self._run(_infer(operator, arguments, {"database": database, **options}))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, call: _Call[_T]) -> _T:
        headers, attempt = call.headers(), 0
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(
                    call.method, call.path, params=call.params, content=call.content, headers=headers
                )
            except httpx.TransportError as error:
                outcome = error
            wait = self._again(attempt, outcome)
            if wait is None:
                if isinstance(outcome, httpx.Response):
                    return call.read(outcome)
                raise self._failed(outcome) from outcome
            attempt += 1
            await asyncio.sleep(wait)


def _check(url: str, key: str | None) -> None:
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
