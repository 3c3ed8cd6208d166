from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host import AsyncClient, Client
from ninefold.host.server.client import Retries
from ninefold.host.server.keys import KeyFile
from ninefold.host.server.service import Service
from ninefold.host.sources import Entry
from ninefold.spec.errors import InputError, NinefoldError, UnavailableError

from ..index.made import DIMENSIONS
from .conftest import ROWS, serving, vectors

QUICK = Retries(times=3, first_s=0.001, longest_s=0.01)


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with serving(service) as found:
        yield found


class Script:
    """Server that answers a script, one answer a request, and then the last one again; None breaks the connection."""

    def __init__(self, *answers: tuple[int, dict[str, str], Any] | None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        script = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do(handler) -> None:  # noqa: N805
                handler.rfile.read(int(handler.headers.get("content-length", 0)))
                self.requests.append((handler.command, {k.lower(): v for k, v in handler.headers.items()}))
                answer = script.pop(0) if len(script) > 1 else script[0]
                if answer is None:
                    handler.close_connection = True
                    return
                status, headers, body = answer
                content = json.dumps(body).encode()
                handler.send_response(status)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    handler.send_header(name, value)
                handler.end_headers()
                handler.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Script:
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_all_that_a_server_does(url: str) -> None:
    with Client(url) as client:
        assert [(index.name, index.entries) for index in client.indexes()] == [("notes", ROWS)]
        rows = np.array(vectors(2), np.float32)
        answer = client.search("notes", rows, k=3, rerank=4, where="year == 2001", include=["title"])
        assert [len(hits) for hits in answer.hits] == [3, 3]
        assert {hit.title[-1] for hits in answer.hits for hit in hits if hit.title} == {"1"}
        written = client.upsert("notes", [Entry("a", "b", "c", {"year": 5})], rows[:1])
        assert (written.added, written.replaced) == (1, 0)
        found = client.get("notes", ["a", "none"])
        assert [(e.id, e.title, e.text, e.fields) for e in found.entries] == [("a", "b", "c", {"year": 5})]
        assert found.missing == ["none"]
        assert client.delete("notes", ["a"]).removed == 1
        assert client.backup("notes", "nightly").entries == ROWS
        assert "cpu" in [device["device"] for device in client.devices()]
        assert client.version() == version("ninefold")


def test_the_same_for_coroutines(url: str) -> None:
    async def asks() -> None:
        async with AsyncClient(url) as client:
            assert [index.name for index in await client.indexes()] == ["notes"]
            rows = np.array(vectors(8), np.float32)
            answers = await asyncio.gather(*(client.search("notes", rows[i : i + 1], k=2) for i in range(8)))
            together = await client.search("notes", rows, k=2)
            assert [answer.hits[0] for answer in answers] == together.hits
            assert (await client.upsert("notes", [Entry("a", "b", "c")], rows[:1])).added == 1
            assert (await client.get("notes", ["a"])).entries[0].text == "c"
            assert (await client.delete("notes", ["a"])).removed == 1
            assert (await client.backup("notes", "nightly")).number == 1
            assert await client.devices()
            assert await client.version() == version("ninefold")

    asyncio.run(asks())


def test_refusals_are_errors_with_the_servers_sentence(url: str) -> None:
    with Client(url) as client:
        with pytest.raises(InputError, match="the server refused: no index none is served here; there are: notes"):
            client.search("none", np.zeros((1, DIMENSIONS), np.float32))
        with pytest.raises(InputError, match="notes holds vectors"):
            client.search("notes", ["a text"])


def test_a_key_is_sent(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    _, token = keys.add("anna", "read")
    with serving(service, keys) as url:
        with (
            Client(url) as client,
            pytest.raises(InputError, match=r"a key is needed.*; the environment's NINEFOLD_KEY gives the key$"),
        ):
            client.indexes()
        with Client(url, token) as client:
            assert client.indexes()
        monkeypatch.setenv("NINEFOLD_KEY", token)
        with Client(url) as client:
            assert client.indexes()


def test_a_write_is_repeated_under_one_idempotency_key() -> None:
    done = (200, {}, {"added": 1, "replaced": 0, "removed": 0})
    busy = (503, {"retry-after": "0"}, {"detail": "busy"})
    with (
        Script(None, busy, (409, {"retry-after": "0"}, {"detail": "runs"}), done) as script,
        Client(script.url, retries=QUICK) as client,
    ):
        assert client.upsert("notes", [Entry("a", "b", "c")], np.zeros((1, 2), np.float32)).added == 1
        assert client.delete("notes", ["a"])
    tokens = [headers["idempotency-key"] for _, headers in script.requests]
    assert [method for method, _ in script.requests] == ["PUT"] * 4 + ["DELETE"]
    assert len(set(tokens[:4])) == 1
    assert tokens[4] != tokens[0]
    assert len(tokens[0]) == 32


def test_coroutines_repeat_too() -> None:
    async def asks(url: str) -> None:
        async with AsyncClient(url, retries=QUICK) as client:
            assert await client.indexes() == []
            with pytest.raises(UnavailableError, match="busy"):
                await client.delete("notes", ["a"])

    busy = (503, {"retry-after": "0"}, {"detail": "busy"})
    with Script(None, (200, {}, {"indexes": []}), busy) as script:
        asyncio.run(asks(script.url))
    assert [method for method, _ in script.requests] == ["GET"] * 2 + ["DELETE"] * 4


def test_a_busy_server_is_given_up_after_all_attempts() -> None:
    with (
        Script((429, {"retry-after": "0"}, {"detail": "too many"})) as script,
        Client(script.url, retries=QUICK) as client,
    ):
        with pytest.raises(UnavailableError, match="the server refused: too many; try again later"):
            client.indexes()
        assert len(script.requests) == 4


def test_a_refusal_is_not_repeated() -> None:
    with Script((422, {}, {"detail": "no"})) as script, Client(script.url, retries=QUICK) as client:
        with pytest.raises(InputError, match="refused: no"):
            client.indexes()
        assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((500, {}, {"detail": "a fault"}), "the server refused: a fault"),
        ((500, {}, [1]), "status 500, and no reason"),
        ((200, {}, {"indexes": 3}), "not of this version"),
        ((302, {"location": "http://evil.example/"}, {}), "status 302"),
    ],
)
def test_other_answers_are_errors(answer: Any, message: str) -> None:
    with Script(answer) as script, Client(script.url, retries=QUICK) as client:
        with pytest.raises(NinefoldError, match=message):
            client.indexes()
        assert len(script.requests) == 1


def test_no_server_is_an_error_that_names_the_address() -> None:
    with Script((200, {}, {})) as script:
        url = script.url
    with Client(url, retries=QUICK) as client, pytest.raises(UnavailableError, match=f"no answer from {url}: "):
        client.indexes()


def test_waits_grow_and_follow_the_server() -> None:
    retries = Retries(first_s=1, longest_s=5)
    assert retries.wait(0, "3") == 3
    assert retries.wait(0, "60") == 5
    longest = [max(retries.wait(attempt, None) for _ in range(200)) for attempt in range(5)]
    for attempt, bound in enumerate((1, 2, 4, 5, 5)):
        assert bound / 2 < longest[attempt] <= bound


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("notes", None, "url must be an address"),
        ("ftp://a", None, "url must be an address"),
        ("http://", None, "url must be an address"),
        ("http://a:b@c/", None, "may hold none"),
        ("http://a/?key=nf_x", None, "may hold none"),
        ("http://a.example", "nf_x", "a key is not sent to a.example without TLS"),
    ],
)
def test_bad_addresses_are_refused(url: str, key: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Client(url, key)


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ("a text", "must be a list of texts"),
        (np.zeros(3, np.float32), r"of shape \(Q, D\), not float32 \(3,\)"),
        (np.zeros((1, 3), np.int8), "not int8"),
        (np.full((1, 3), np.nan), "must be finite"),
    ],
)
def test_bad_queries_are_refused_before_they_are_sent(queries: Any, message: str) -> None:
    with Client("http://127.0.0.1:9", retries=QUICK) as client, pytest.raises(InputError, match=message):
        client.search("notes", queries)


def test_names_and_numbers_of_ids_are_checked() -> None:
    with Client("http://127.0.0.1:9", retries=QUICK) as client:
        for name in ("", "a/b", ".."):
            with pytest.raises(InputError, match="names at a server are without slashes"):
                client.get(name, ["a"])
        for ids in ([], ["a"] * 101):
            with pytest.raises(InputError, match=f"1 to 100 ids, not {len(ids)}"):
                client.get("notes", ids)
        with pytest.raises(TypeError, match="unexpected keyword argument 'kk'"):
            client.search("notes", ["a"], kk=3)  # type: ignore[call-arg]
