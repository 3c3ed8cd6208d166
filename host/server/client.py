"""Clients of a server: `Client`, and `AsyncClient` for coroutines."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar, Unpack

import httpx
import numpy.typing as npt

from ninefold.host.sources import Entry
from ninefold.spec.data import Database, content_digest
from ninefold.spec.errors import (
    UnavailableError,
)
from ninefold.spec.terminal import printable

from . import calls
from . import messages as m
from .calls import Call, Inferred, Options, Retries
from .residents import pack

__all__ = ["AsyncClient", "Client", "Inferred", "Options", "Retries"]

_T = TypeVar("_T")


class _Base:
    """Address, key and retries of a client."""

    def __init__(self, url: str, key: str | None, retries: Retries | None) -> None:
        self.url = url.rstrip("/")
        self.retries = retries or Retries()
        key = key or os.environ.get(calls.KEY_VARIABLE) or None
        calls.check_url(self.url, key)
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def _again(self, attempt: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the wait before another attempt, or None to take the outcome."""
        if attempt >= self.retries.times:
            return None
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in calls.LATER:
                return None
            return self.retries.wait(attempt, outcome.headers.get("retry-after"))
        return self.retries.wait(attempt, None)

    def _failed(self, error: httpx.TransportError) -> UnavailableError:
        reason = printable(str(error)) or type(error).__name__
        how = "`ninefold serve` starts a server"
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            how = "SSL_CERT_FILE names the certificate of an authority of your own, or a server's own, in PEM"
        return UnavailableError(f"no answer from {printable(self.url)}: {reason}", how)


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
        As httpx takes it. Certificates of a private authority need a context, or the environment's ``SSL_CERT_FILE``.

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
        return self._run(calls.search(name, queries, options))

    def upsert(self, name: str, entries: Iterable[Entry], vectors: npt.NDArray[Any] | None = None) -> m.WriteAnswer:
        """Add or replace entries, once, however often the request is repeated."""
        return self._run(calls.upsert(name, entries, vectors))

    def get(self, name: str, ids: Iterable[str]) -> m.EntriesAnswer:
        """Return the entries of up to 100 ids."""
        return self._run(calls.get(name, ids))

    def delete(self, name: str, ids: Iterable[str]) -> m.DeleteAnswer:
        """Remove the entries of up to 100 ids."""
        return self._run(calls.delete(name, ids))

    def backup(self, name: str, series: str, keep: int | None = None) -> m.BackedUp:
        """Back up an index under a name in the server's folder of backups."""
        return self._run(calls.backup(name, series, keep))

    def indexes(self) -> list[m.IndexMessage]:
        """Return all indexes of the server."""
        return self._run(calls.INDEXES).indexes

    def devices(self) -> list[dict[str, Any]]:
        """Return all devices of the server, found or missing, as ``ninefold devices --json`` prints them."""
        return self._run(calls.DEVICES).devices

    def version(self) -> str:
        """Return the version of Ninefold at the server."""
        return self._run(calls.VERSION)

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
        return self._run(calls.infer(operator, arguments, {"database": database, **options}))

    def upload(self, database: Database) -> str:
        """Upload a database for later calls and return its digest; what an earlier attempt sent is not sent again."""
        # A part of an index is named by its file, and an upload by its content, which the server compares.
        digest = content_digest(database.arrays, database.attributes) if database.known_digest else database.digest
        with tempfile.TemporaryFile() as file:
            pack(database, file)
            size = file.tell()
            offset, complete = self._run(Call("HEAD", f"/v1/residents/{digest}", calls.uploaded))
            while not complete:
                offset, complete = self._run(calls.part(digest, file, offset, size))
        return digest

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, call: Call[_T]) -> _T:
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
        return await self._run(calls.search(name, queries, options))

    async def upsert(
        self, name: str, entries: Iterable[Entry], vectors: npt.NDArray[Any] | None = None
    ) -> m.WriteAnswer:
        """Add or replace entries; see `Client.upsert`."""
        return await self._run(calls.upsert(name, entries, vectors))

    async def get(self, name: str, ids: Iterable[str]) -> m.EntriesAnswer:
        """Return the entries of up to 100 ids."""
        return await self._run(calls.get(name, ids))

    async def delete(self, name: str, ids: Iterable[str]) -> m.DeleteAnswer:
        """Remove the entries of up to 100 ids."""
        return await self._run(calls.delete(name, ids))

    async def backup(self, name: str, series: str, keep: int | None = None) -> m.BackedUp:
        """Back up an index; see `Client.backup`."""
        return await self._run(calls.backup(name, series, keep))

    async def indexes(self) -> list[m.IndexMessage]:
        """Return all indexes of the server."""
        return (await self._run(calls.INDEXES)).indexes

    async def devices(self) -> list[dict[str, Any]]:
        """Return all devices of the server; see `Client.devices`."""
        return (await self._run(calls.DEVICES)).devices

    async def version(self) -> str:
        """Return the version of Ninefold at the server."""
        return await self._run(calls.VERSION)

    async def infer(
        self, operator: str, arguments: Mapping[str, Any], *, database: str | None = None, **options: Any
    ) -> Inferred:
        """Run an operator without a state; see `Client.infer`."""
        return await self._run(calls.infer(operator, arguments, {"database": database, **options}))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, call: Call[_T]) -> _T:
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
