"""Servers on free ports of this machine, each on a thread that ends with its test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import numpy as np
import pytest

from ninefold.host.server.keys import KeyFile
from ninefold.host.server.service import Limits, Service
from ninefold.host.server.serving import Address, serve
from ninefold.host.sources import Entry

from ..index.made import DIMENSIONS, made, vectors_of

ROWS = 40


def entries() -> list[Entry]:
    return [Entry(f"id {n}", f"title {n}", f"text {n}", {"year": 2000 + n % 10}) for n in range(ROWS)]


@contextlib.contextmanager
def serving(service: Service, keys: KeyFile | None = None, address: Address | None = None) -> Iterator[str]:
    """Yield the URL of a server, which ends with the block."""
    stop, urls = threading.Event(), Queue[Any]()

    def run() -> None:
        try:
            serve(service, address or Address(port=0), keys, started=urls.put, stop=stop)
        except BaseException as error:
            urls.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        url = urls.get(timeout=30)
        if isinstance(url, BaseException):
            raise url
        yield url
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def service_of(tmp_path: Path, limits: Limits | None = None, **more: Any) -> Service:
    """Return a service with one index of vectors, called notes, with a declared field."""
    index = tmp_path / "indexes" / "notes"
    if not index.exists():
        made(index, vectors_of(ROWS), entries=entries(), fields={"year": "int"}).close()
    return Service([str(index)], tmp_path / "server", limits, **more)


@pytest.fixture
def service(tmp_path: Path, own_folders: None) -> Iterator[Service]:
    with service_of(tmp_path) as one:
        yield one


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """Client of a server without keys."""
    with serving(service) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep caches in the test's folder, and search with NumPy, which compiles nothing."""
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))


def vectors(rows: int, seed: int = 1) -> list[list[float]]:
    found: list[list[float]] = np.random.default_rng(seed).normal(0, 1, (rows, DIMENSIONS)).tolist()
    return found
