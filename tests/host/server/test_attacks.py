"""Attempts of a caller with bad intentions."""

from __future__ import annotations

import gzip
import json
import logging
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from ninefold.host import Client
from ninefold.host.server.client import Retries
from ninefold.host.server.keys import KeyFile
from ninefold.host.server.service import Limits, Service
from ninefold.host.server.serving import Address
from ninefold.spec.errors import InputError, UnavailableError

from .conftest import service_of, serving, vectors
from .malformed import sent

SEARCH = "/v1/indexes/notes/search"
ENTRIES = "/v1/indexes/notes/entries"
BACKUP = "/v1/indexes/notes/backup"


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


@pytest.fixture
def guarded(service: Service, keys: KeyFile) -> Iterator[httpx.Client]:
    """Client of a server that asks for keys; without one."""
    keys.add("someone", "read")
    with serving(service, keys) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def raw(http: httpx.Client, request: bytes, *, end: bool = False) -> bytes:
    """Return what a server answers to bytes, after which the caller may end its side."""
    answer = b""
    with socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=30) as connection:
        connection.sendall(request)
        if end:
            connection.shutdown(socket.SHUT_WR)
        try:
            while part := connection.recv(65536):
                answer += part
                head, _, body = answer.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                if length is not None and len(body) >= int(length[1]):
                    break
        except ConnectionResetError:
            pass
    return answer


# Keys.


@pytest.mark.parametrize("path", [SEARCH, ENTRIES, "/v1/indexes", "/v1/devices", "/metrics", "/openapi.json", "/v1/x"])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer nf_x", "Basic bmY6eA==", f"Bearer nf_{'0' * 16}_{'0' * 64}"]
)
def test_nothing_but_health_is_open(guarded: httpx.Client, path: str, header: str | None) -> None:
    answer = guarded.get(path, headers={} if header is None else {"authorization": header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="ninefold"')
    assert guarded.get("/v2/health/live").status_code == 200
    assert guarded.get("/v2/health/ready").status_code == 200


def test_a_key_allows_its_scope_and_no_more(guarded: httpx.Client, keys: KeyFile) -> None:
    write = {"entries": [{"id": "a", "text": "b"}], "vectors": vectors(1)}
    requests = [
        ("read", "POST", SEARCH, {"vectors": vectors(1)}),
        ("read", "GET", f"{ENTRIES}?id=a", None),
        ("read", "GET", "/v1/indexes", None),
        ("read", "GET", "/v1/devices", None),
        ("read", "GET", "/metrics", None),
        ("write", "PUT", ENTRIES, write),
        ("write", "DELETE", f"{ENTRIES}?id=a", None),
        ("admin", "POST", BACKUP, {"name": "x"}),
    ]
    order = ["read", "write", "admin"]
    for scope in order:
        key, token = keys.add(scope, scope)  # type: ignore[arg-type]
        for needed, method, path, body in requests:
            answer = guarded.request(method, path, json=body, headers=bearing(token))
            if order.index(scope) >= order.index(needed):
                assert answer.status_code == 200, (scope, method, path)
            else:
                assert answer.status_code == 403, (scope, method, path)
                assert answer.json()["detail"] == f"the key {key.id} allows {scope}; this needs {needed}"


def test_expired_and_removed_keys_are_refused_at_once(guarded: httpx.Client, keys: KeyFile) -> None:
    _, brief = keys.add("brief", "read", days=1e-9)
    key, token = keys.add("gone", "read")
    assert guarded.get("/v1/indexes", headers=bearing(token)).status_code == 200
    keys.remove(key.id)
    assert guarded.get("/v1/indexes", headers=bearing(token)).status_code == 401
    time.sleep(1.1)
    assert "has expired" in guarded.get("/v1/indexes", headers=bearing(brief)).json()["detail"]


def test_a_rate_is_of_its_key(guarded: httpx.Client, keys: KeyFile) -> None:
    _, slow = keys.add("slow", "read", rate=3)
    _, other = keys.add("other", "read", rate=100)
    codes = [guarded.get("/v1/indexes", headers=bearing(slow)).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    refused = guarded.get("/v1/indexes", headers=bearing(slow))
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "allows 3 requests a minute" in refused.json()["detail"]
    assert guarded.get("/v1/indexes", headers=bearing(other)).status_code == 200


def test_no_log_holds_a_key_or_a_text(guarded: httpx.Client, keys: KeyFile, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ninefold")
    caplog.set_level(logging.DEBUG, "uvicorn")
    _, token = keys.add("anna", "write")
    secret = token.split("_")[2]
    body = {"entries": [{"id": "private id", "text": "private text"}], "vectors": vectors(1)}
    assert guarded.put(ENTRIES, json=body, headers=bearing(token)).status_code == 200
    assert guarded.post(SEARCH, json={"texts": ["private text"]}, headers=bearing(token)).status_code == 422
    assert guarded.get("/v1/indexes", headers=bearing(token[:-1] + "x")).status_code == 401
    in_url = guarded.get(f"/v1/indexes?key={token}")
    assert (in_url.status_code, secret in in_url.text) == (400, False)
    records = [record.__dict__ for record in caplog.records if record.name.startswith(("ninefold", "uvicorn"))]
    assert len(records) >= 4
    for word in (secret, "private"):
        assert word not in json.dumps(records, default=str)
    audit = next(record for record in caplog.records if record.name == "ninefold.audit")
    assert (audit.__dict__["caller"], audit.__dict__["entries"], audit.__dict__["done"]) == ("anna", 1, True)


# Heads.


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "localhost@evil.example"}, 421),
        ({"host": ""}, 421),
        ({"host": "localhost:99999"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"content-encoding": "gzip"}, 415),
        ({"host": "localhost", "origin": "http://localhost"}, 200),
        ({"host": "LocalHost:1234"}, 200),
        ({"host": "[::1]:80"}, 200),
    ],
)
def test_other_names_and_other_pages_are_refused(http: httpx.Client, headers: dict[str, str], status: int) -> None:
    assert http.get("/v1/indexes", headers=headers).status_code == status


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Host: evil.example\r\n",
        "Authorization: a\r\nAuthorization: b\r\n",
        "Content-Length : 5\r\n",
        "X\x00: a\r\n",
        f"X: {'a' * 100_000}\r\n",
    ],
)
def test_ambiguous_heads_are_refused_and_the_connection_closed(http: httpx.Client, head: str) -> None:
    request = f"POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n0\r\n\r\n".encode("latin-1")
    answers = raw(http, request)
    assert answers.startswith(b"HTTP/1.1 4")
    assert b" 200 " not in answers
    assert http.get("/v2/health/live").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/indexes/../../etc/search",
        "/v1/indexes/%2e%2e%2f%2e%2e%2fetc/search",
        "/v1/indexes/notes%00/search",
        "/v1/indexes/notes/../notes/search",
        "/v1/indexes/NOTES/search",
        "/v1/indexes/notes/search/..;/entries",
        "/%76%31/indexes/notes/search;x",
    ],
)
def test_tricks_in_paths_find_nothing(http: httpx.Client, path: str) -> None:
    body = json.dumps({"vectors": vectors(1)})
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    status = raw(http, (head + body).encode()).split()[1]
    assert status in (b"400", b"404", b"405")


# Bodies.


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"vectors":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        (b'{"texts": ["\\ud800"]}', 400),
        (b'{"vectors": [[1e999]]}', 400),
        (b'{"vectors": [[NaN]]}', 400),
        (b'{"k": 1' + b"0" * 5000 + b"}", 400),
        (gzip.compress(b"{}", mtime=0), 400),
        (json.dumps({"vectors": vectors(1), "where": "(" * 30_000}).encode(), 422),
        (json.dumps({"vectors": vectors(1), "where": "not " * 8000 + "a == 1"}).encode(), 422),
        (json.dumps({"vectors": vectors(1), "where": " or ".join(["a == 1"] * 300)}).encode(), 422),
        (json.dumps({"vectors": vectors(1025)}).encode(), 400),
    ],
)
def test_costly_and_broken_bodies_are_refused(http: httpx.Client, body: bytes, status: int) -> None:
    answer = http.post(SEARCH, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_comes_too_slowly_is_refused(tmp_path: Path, own_folders: None) -> None:
    limits = Limits(seconds=0.5)
    with service_of(tmp_path, limits) as service, serving(service) as url, httpx.Client(base_url=url) as http:
        head = f"POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".encode()
        with socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=30) as connection:
            connection.sendall(head + b"{")
            start = time.monotonic()
            answer = b""
            while part := connection.recv(65536):
                answer += part
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"within 0.5 s" in answer
            assert 0.4 < time.monotonic() - start < 10


def test_a_head_that_comes_byte_by_byte_is_cut_off(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ninefold.host.server.serving._HEAD_S", 0.5)
    with socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=30) as connection:
        connection.settimeout(0.05)
        until, ended = time.monotonic() + 20, False
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        while not ended and time.monotonic() < until:
            try:
                ended = connection.recv(1) == b""
            except TimeoutError:
                connection.sendall(b"a")
            except ConnectionError:
                ended = True
        assert ended
    assert http.get("/v2/health/live").status_code == 200


def test_more_connections_than_allowed_are_answered_with_503(tmp_path: Path, own_folders: None) -> None:
    limits = Limits(connections=4)
    with service_of(tmp_path, limits) as service, serving(service) as url, httpx.Client(base_url=url) as http:
        assert http.get("/v2/health/live").status_code == 200
        held = [socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=30) for _ in range(8)]
        try:
            assert raw(http, b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 503")
        finally:
            for connection in held:
                connection.close()
        until = time.monotonic() + 20
        while http.get("/v2/health/live").status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_malformed_requests_are_answered_or_cut_off(http: httpx.Client) -> None:
    """None is answered as if it were whole by a fault, and none ends the server."""
    assert sum(sent(http.base_url.host, http.base_url.port or 0, 200).values()) == 200


def test_nothing_below_the_schema_is_a_page(http: httpx.Client) -> None:
    for path in ("/openapi.json/x", "/openapi.json/", "/openapi.json/a/b"):
        answer = http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert answer.json()["detail"] == "there is nothing below /openapi.json"
    assert http.get("/openapi.json").json()["openapi"].startswith("3.")


# Where a server may listen.


@pytest.mark.parametrize(
    ("given", "keyed", "message"),
    [
        ({"host": "0.0.0.0"}, False, "needs --keys FILE with a key"),  # noqa: S104
        ({"host": "192.0.2.1"}, False, "on 192.0.2.1, which other machines reach, needs --keys"),
        ({"host": "192.0.2.1"}, True, "needs --tls-cert and --tls-key, or --behind-proxy"),
        ({"host": "0.0.0.0", "behind_proxy": True}, True, "needs --name"),  # noqa: S104
        ({"behind_proxy": True, "names": ["a.example"]}, False, "behind a proxy needs --keys"),
        ({"certificate": Path("a")}, True, "both --tls-cert and --tls-key"),
        ({"certificate": Path("a"), "key": Path("b"), "behind_proxy": True}, True, "not both"),
        ({"port": 65_536}, True, "port must be 0 to 65535, not 65536"),
        ({"host": "127.0.0.1"}, False, ""),
        ({"host": "::1"}, False, ""),
        ({"host": "localhost"}, False, ""),
        ({"host": "192.0.2.1", "behind_proxy": True, "names": ["a.example"]}, True, ""),
    ],
)
def test_an_unsafe_address_is_refused_with_the_missing_option(
    keys: KeyFile, given: dict[str, Any], keyed: bool, message: str
) -> None:
    if keyed:
        keys.add("anna", "read")
    address = Address(**given)
    if not message:
        address.check(keys if keyed else None)
        return
    with pytest.raises(InputError, match=message):
        address.check(keys if keyed else None)


def test_an_empty_file_of_keys_opens_no_address(keys: KeyFile) -> None:
    with pytest.raises(InputError, match="with a key"):
        Address("192.0.2.1", behind_proxy=True, names=["a.example"]).check(keys)


def test_tls_is_served_and_a_broken_certificate_refused(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(service, address=Address("localhost", 0, certificate=certificate, key=key)) as url:
        assert url.startswith("https://localhost:")
        assert httpx.get(f"{url}/v2/health/live", verify=trusting).json() == {"live": True}
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"{url}/v2/health/live")
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            httpx.get(url.replace("https", "http"))
        with (
            Client(url, retries=Retries(0)) as client,
            pytest.raises(UnavailableError, match="SSL_CERT_FILE names the"),
        ):
            client.indexes()
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        with Client(url) as client:
            assert [index.name for index in client.indexes()] == ["notes"]
    key.write_text("no key")
    with (
        pytest.raises(InputError, match="not usable for TLS"),
        serving(service, address=Address("localhost", 0, certificate=certificate, key=key)),
    ):
        pass
