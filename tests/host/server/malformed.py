"""Malformed requests: ``python -m tests.host.server.malformed --requests 100000``.

Whole requests of several routes, with bytes changed, removed and doubled, are sent to a server. None may be answered
with a fault of the server or without being HTTP, and the server must answer a whole request at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import socket
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from .conftest import service_of, serving, vectors

__all__ = ["sent"]

_INFER = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}], "parameters": {"scale": 1.0}}
_BODIES: tuple[tuple[str, str, object], ...] = (
    ("POST", "/v1/indexes/notes/search", {"vectors": vectors(1), "k": 3, "where": "year >= 2003"}),
    ("PUT", "/v1/indexes/notes/entries", {"entries": [{"id": "a", "text": "b"}], "vectors": vectors(1)}),
    ("POST", "/v2/models/quantise/infer", _INFER),
    ("PATCH", f"/v1/residents/{'0' * 64}", {"no": "archive"}),
    ("DELETE", "/v1/indexes/notes/entries?id=a&id=b", None),
)

#: Requests at once, and time after which a server that has not answered is told that nothing more comes, in seconds.
_AT_ONCE = 16
_PATIENCE_S = 0.2


def sent(host: str, port: int, number: int, seed: int = 7) -> Counter[str]:
    """Send malformed requests and return how many were answered with each status, or cut off.

    Raises
    ------
    AssertionError
        A request was answered with a fault of the server, or the server does not answer a whole one.
    """
    requests = [_whole(*one) for one in _BODIES]

    def one(at: int) -> str:
        generator = random.Random(seed * 10**9 + at)
        request = _changed(bytearray(generator.choice(requests)), generator)
        answer = _answer(host, port, request)
        # 503 refuses for now; a request may also have stayed whole.
        good = not answer or answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4", b"HTTP/1.1 503"))
        assert good, (request, answer)
        return answer[9:12].decode() or "cut off"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        counts = Counter(pool.map(one, range(number)))
    assert _answer(host, port, requests[0]).startswith(b"HTTP/1.1 200")
    return counts


def _whole(method: str, path: str, body: object) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\nUpload-Offset: 0\r\n"
    head += "Connection: close\r\n\r\n"
    return head.encode() + content


def _changed(request: bytearray, generator: random.Random) -> bytes:
    for _ in range(generator.randint(1, 8)):
        at = generator.randrange(len(request))
        change = generator.randrange(3)
        if change == 0:
            request[at] = generator.randrange(256)
        elif change == 1:
            del request[at : at + generator.randint(1, 9)]
        else:
            request[at:at] = request[at : at + generator.randint(1, 30)]
    return bytes(request)


def _answer(host: str, port: int, request: bytes) -> bytes:
    """Send a request and return what comes back; a server that waits for more is told that there is no more."""
    with socket.create_connection((host, port), timeout=_PATIENCE_S) as connection:
        found = b""
        try:
            connection.sendall(request)
            while block := connection.recv(65_536):
                found += block
        except TimeoutError:
            connection.settimeout(60)
            with contextlib.suppress(ConnectionError):
                connection.shutdown(socket.SHUT_WR)
                while block := connection.recv(65_536):
                    found += block
        except ConnectionError:
            pass
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    os.environ["NINEFOLD_CPU_PATH"] = "numpy"
    with tempfile.TemporaryDirectory() as work, service_of(Path(work)) as service, serving(service) as url:
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it would tell of each request
        place, start = httpx.URL(url), time.monotonic()
        counts = sent(place.host, place.port or 0, given.requests, given.seed)
        print(f"{sum(counts.values()):,} in {time.monotonic() - start:.0f} s: {dict(counts.most_common())}")  # noqa: T201
