from __future__ import annotations

import gc
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from ninefold.host.cluster import ShardedIndex
from ninefold.host.index import Index, Snapshot
from ninefold.host.index.backup import restore
from ninefold.host.index.tier_record import TierRecord
from ninefold.host.scheduler import Scheduler
from ninefold.host.server.problems import ProblemError
from ninefold.host.server.service import Limits, Replies, Service, digest_of
from ninefold.host.server.serving import Address, _Protocol, serve
from ninefold.host.sources import Entry
from ninefold.spec.errors import DeviceError, InputError, UnavailableError
from tests.drivers.board_model import BoardModel

from ..cluster.fakes import running
from ..index.made import DIMENSIONS, clustered, vectors_of
from ..scheduler.fakes import Fake, FakeDevice, backends, cpu
from ..test_board_backend import KNOWN, listening
from .conftest import ROWS, service_of, serving, vectors

SEARCH = "/v1/indexes/notes/search"
ENTRIES = "/v1/indexes/notes/entries"


def new(*ids: str) -> dict[str, Any]:
    return {"entries": [{"id": one, "text": f"new {one}"} for one in ids], "vectors": vectors(len(ids))}


def test_a_search_finds_what_the_index_finds(http: httpx.Client, service: Service) -> None:
    queries = vectors(3)
    asked = {"vectors": queries, "k": 5, "rerank": 4, "where": "year >= 2004"}
    answer = http.post(SEARCH, json=asked).json()
    expected = service.index("notes").search(
        [*np.array(queries, np.float32)], 5, rerank=4, where="year >= 2004", scheduler=service.scheduler
    )
    for hits, wanted in zip(answer["hits"], expected, strict=True):
        assert [(hit["id"], hit["score"], hit["row"]) for hit in hits] == [(h.id, h.score, h.row) for h in wanted]
        assert [(hit["title"], hit["text"], hit["fields"]) for hit in hits] == [
            (h.entry.title, h.entry.text, dict(h.entry.fields)) for h in wanted
        ]
    assert answer["answered_by"] == "cpu"
    assert answer["score"] == "dot product of the float vectors"
    assert answer["fallbacks"] == []
    assert 0 < answer["seconds"]["search"] <= answer["seconds"]["total"]


def test_a_filter_that_no_entry_meets_is_explained(http: httpx.Client) -> None:
    asked = {"vectors": vectors(2), "where": 'year == "2000"'}
    answer = http.post(SEARCH, json=asked).json()
    assert answer["hits"] == [[], []]
    assert answer["warning"] == "no entry meets the filter; entries have the fields year (int)"
    assert http.post(SEARCH, json={**asked, "where": "year == 2000"}).json()["warning"] is None


def test_only_the_parts_that_are_asked_for_are_sent(http: httpx.Client) -> None:
    asked = {"vectors": vectors(1), "k": 1}
    assert http.post(SEARCH, json={**asked, "include": []}).json()["hits"][0][0].keys() == {"id", "score", "row"}
    hit = http.post(SEARCH, json={**asked, "include": ["text"]}).json()["hits"][0][0]
    assert hit.keys() == {"id", "score", "row", "text"}


def test_only_some_clusters_are_searched(service: Service, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"vectors": vectors(1), "k": 3}
    refused = http.post(SEARCH, json={**asked, "macro": 4, "micro": 2})
    assert (refused.status_code, "need a database with clusters" in refused.text) == (422, True)
    refused = http.post(SEARCH, json={**asked, "macro": 4})
    assert (refused.status_code, "macro needs micro too" in refused.text) == (422, True)
    passed: dict[str, Any] = {}

    def mine(self: Snapshot, q: Any, **options: Any) -> Any:
        passed.update(options)
        return scheduled(self, q, **{name: one for name, one in options.items() if name not in ("macro", "micro")})

    scheduled = Snapshot.mine
    monkeypatch.setattr(Snapshot, "mine", mine)
    monkeypatch.setattr(Scheduler, "check_task", lambda *_: None)
    assert http.post(SEARCH, json={**asked, "macro": 4, "micro": 2}).status_code == 200
    assert (passed["macro"], passed["micro"]) == (4, 2)


def test_tiers_answer_and_are_measured(tmp_path: Path, own_folders: None) -> None:
    clustered(tmp_path / "indexes" / "notes", vectors_of(1500))
    asked = {"vectors": vectors(2), "k": 3, "rerank": 4}
    with service_of(tmp_path) as service, serving(service) as url:
        plain = httpx.post(url + SEARCH, json=asked).json()
        assert plain["routes"] is None
        assert "ninefold_tier" not in httpx.get(url + "/metrics").text
        answer = httpx.post(url + SEARCH, json={**asked, "route": True}).json()
        stages = [route["stage"] for route in answer["routes"]]
        for route, hits, wanted in zip(answer["routes"], answer["hits"], plain["hits"], strict=True):
            assert route["confident"] == (route["stage"] != "exact")
            if not route["confident"]:
                assert hits == wanted
        text, label = httpx.get(url + "/metrics").text, f'index="{service.index("notes").called}"'
        assert f'ninefold_tier_lists{{{label},tier="cold"}} 1024.0' in text
        assert f'ninefold_tier_answers_total{{{label},stage="{stages[0]}"}} {stages.count(stages[0])}.0' in text
        assert f"ninefold_tier_compression{{{label}}}" in text
        refused = httpx.post(url + SEARCH, json={**asked, "route": True, "scan": "signs"})
        assert (refused.status_code, "leave out scan signs" in refused.text) == (422, True)
    # Counts and momentum are kept when the server stops.
    record = TierRecord.read(tmp_path / "indexes" / "notes" / "tiers")
    assert record is not None
    assert sum(record.counts.answers.values()) == 2


def test_logs_hold_digests_of_texts_unless_texts_are_asked_for(
    tmp_path: Path, own_folders: None, caplog: pytest.LogCaptureFixture
) -> None:
    digest = digest_of(b"where bees live")
    for log_texts, logged in ((False, [digest]), (True, ["where bees live"])):
        with (
            caplog.at_level("INFO", "ninefold.host.server"),
            service_of(tmp_path, log_texts=log_texts) as service,
            serving(service) as url,
        ):
            httpx.post(url + SEARCH, json={"texts": ["where bees live"]})  # an index of vectors refuses it
        searches = [record for record in caplog.records if record.getMessage() == "search of notes"]
        assert [getattr(record, "texts", None) for record in searches] == [logged]
        caplog.clear()


def test_nodes_of_a_cluster_search_the_indexes(tmp_path: Path, own_folders: None) -> None:
    asked = {"vectors": vectors(3), "k": 5, "rerank": 2}
    with running("ab") as nodes:
        with service_of(tmp_path) as plain, serving(plain) as url:
            wanted = httpx.post(url + SEARCH, json=asked).json()["hits"]
        with service_of(tmp_path, nodes=nodes) as service, serving(service) as url:
            index = service.index("notes")
            assert isinstance(index, ShardedIndex)
            assert index.settle()
            answer = httpx.post(url + SEARCH, json=asked).json()
            assert answer["hits"] == wanted
            assert "1 node searched" in answer["why"]
            for name in "ab":
                nodes.kill(name)
            refused = httpx.post(url + SEARCH, json=asked)
            assert refused.status_code == 503
            assert "no node that answers holds rows 0 to 39" in refused.json()["detail"]
            assert httpx.put(url + ENTRIES, json=new("x")).json()["added"] == 1
            answer = httpx.post(url + SEARCH, json={**asked, "partial": True}).json()
            assert [[hit["id"] for hit in hits] for hits in answer["hits"]] == [["x"]] * 3  # the tail is here
            assert any("not searched" in text for text in answer["fallbacks"])
            refused = httpx.post(url + SEARCH, json={**asked, "route": True})
            assert refused.status_code == 422
            assert "notes is sharded, and tiers are of an index on one machine" in refused.json()["detail"]


def test_a_device_that_fails_is_named_in_the_answer(tmp_path: Path, own_folders: None) -> None:
    def fails(_device: FakeDevice, _call: Any) -> None:
        raise DeviceError("it burns")

    scheduler = Scheduler(backends=backends(Fake("fake", fails), cpu()), costs=None)
    with service_of(tmp_path, scheduler=scheduler) as service, serving(service) as url:
        answer = httpx.post(f"{url}{SEARCH}", json={"vectors": vectors(1), "device": "fake"}).json()
        assert len(answer["hits"][0]) == 10
        assert answer["answered_by"] == "cpu"
        assert answer["fallbacks"] == ["fake: it burns"]
        refused = httpx.post(f"{url}{SEARCH}", json={"vectors": vectors(1), "device": "fake", "strict": True})
        assert refused.status_code == 503


def test_a_board_is_offered_by_its_url_and_no_other_is_opened(tmp_path: Path, own_folders: None) -> None:
    with listening(BoardModel(), 1) as place, service_of(tmp_path, boards=[f"{place}{KNOWN}"]) as service:
        device = f"board:{place}{KNOWN}"
        with serving(service) as url, httpx.Client(base_url=url) as http:
            answer = http.post(SEARCH, json={"vectors": vectors(2), "k": 3, "device": device}).json()
            assert (answer["answered_by"], answer["fallbacks"]) == (device, [])
            assert answer["hits"] == http.post(SEARCH, json={"vectors": vectors(2), "k": 3}).json()["hits"]
            assert device in {one["device"] for one in http.get("/v1/devices").json()["devices"]}
            for other in (place, "replay:///etc/passwd", "virtual/tiny?flip=1", "serial:///dev/null"):
                refusals = (
                    http.post(SEARCH, json={"vectors": vectors(1), "device": f"board:{other}"}),
                    http.post(
                        "/v2/models/similarity/infer",
                        json={
                            "inputs": [
                                {"name": name, "shape": [1, 2], "datatype": "INT8", "data": [1, 2]} for name in "qc"
                            ],
                            "parameters": {"device": f"board:{other}"},
                        },
                    ),
                )
                for refused in refusals:
                    assert refused.status_code == 422
                    assert refused.json()["detail"].startswith(f"device board:{other} is not offered by this server: ")


def test_a_url_that_is_none_of_a_board_is_refused(tmp_path: Path, own_folders: None) -> None:
    with pytest.raises(InputError, match="nowhere"):
        service_of(tmp_path, boards=["nowhere://x"]).close()


def test_a_write_is_read_found_and_removed(http: httpx.Client) -> None:
    row = np.full(DIMENSIONS, 2.0)
    entry = {"id": "a", "text": "b", "fields": {"year": 1}}
    written = http.put(ENTRIES, json={"entries": [entry], "vectors": [[*row]]})
    assert written.json() == {"added": 1, "replaced": 0, "removed": 0}
    assert http.get(ENTRIES, params={"id": ["a", "none", "id 3"]}).json() == {
        "entries": [
            entry,
            {"id": "id 3", "title": "title 3", "text": "text 3", "fields": {"year": 2003}},
        ],
        "missing": ["none"],
    }
    assert http.post(SEARCH, json={"vectors": [[*row]], "k": 1, "rerank": 2}).json()["hits"][0][0]["id"] == "a"
    assert http.request("DELETE", ENTRIES, params={"id": ["a", "none"]}).json() == {"removed": 1}
    assert http.get(ENTRIES, params={"id": "a"}).json() == {"entries": [], "missing": ["a"]}


def test_a_write_is_on_the_disk_when_it_is_answered(http: httpx.Client, service: Service) -> None:
    http.put(ENTRIES, json=new("a")).raise_for_status()
    with Index.open(str(service.index("notes").folder)) as other:
        assert other.get("a") == Entry("a", "", "new a")


def test_a_repeated_write_changes_nothing(http: httpx.Client) -> None:
    key = {"idempotency-key": "one"}
    first = http.put(ENTRIES, json=new("a"), headers=key)
    http.request("DELETE", ENTRIES, params={"id": "a"})
    again = http.put(ENTRIES, json=new("a"), headers=key)
    assert again.json() == first.json() == {"added": 1, "replaced": 0, "removed": 0}
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert http.get(ENTRIES, params={"id": "a"}).json()["missing"] == ["a"]
    other = http.put(ENTRIES, json=new("b"), headers=key)
    assert other.status_code == 422
    assert "idempotency key one was used for another request" in other.json()["detail"]
    assert http.request("DELETE", ENTRIES, params={"id": "a"}, headers=key).status_code == 422
    assert http.put(ENTRIES, json=new("b")).json()["added"] == 1


def test_a_write_that_failed_may_be_tried_again(http: httpx.Client) -> None:
    key = {"idempotency-key": "one"}
    bad = http.put(ENTRIES, json={**new("a"), "vectors": vectors(2)}, headers=key)
    assert bad.status_code == 422
    assert http.put(ENTRIES, json=new("a"), headers=key).json()["added"] == 1


def test_named_writes_are_kept_for_a_day_and_apart_for_each_caller() -> None:
    now = 0.0
    replies = Replies(clock=lambda: now)
    assert replies.begin("anna", "t", "d") is None
    with pytest.raises(Exception, match="still runs") as running:
        replies.begin("anna", "t", "d")
    assert running.value.problem.status == 409  # type: ignore[attr-defined]
    assert replies.begin("ben", "t", "other") is None
    replies.end("anna", "t", "answer")
    replies.end("ben", "t", None)
    now = 86_399.0
    assert replies.begin("anna", "t", "d") == "answer"
    assert replies.begin("ben", "t", "third") is None
    now = 86_400.0
    assert replies.begin("anna", "t", "d") is None


def test_a_backup_of_the_server_can_be_restored(http: httpx.Client, service: Service, tmp_path: Path) -> None:
    made = http.post("/v1/indexes/notes/backup", json={"name": "nightly", "keep": 2}).json()
    assert (made["name"], made["number"], made["entries"]) == ("nightly", 1, ROWS)
    restore(str(tmp_path / "restored"), service.backups / "nightly")
    with Index.open(str(tmp_path / "restored")) as restored:
        assert len(restored) == ROWS


def test_the_indexes_are_listed(http: httpx.Client) -> None:
    assert http.get("/v1/indexes").json() == {
        "indexes": [
            {
                "name": "notes",
                "entries": ROWS,
                "dimensions": DIMENSIONS,
                "model": None,
                "generation": 1,
                "writable": True,
                "fields": {"year": "int"},
            }
        ]
    }


def test_health_devices_and_metrics(http: httpx.Client) -> None:
    assert http.get("/v2/health/live").json() == {"live": True}
    assert http.get("/v2/health/ready").json() == {"ready": True}
    http.post(SEARCH, json={"vectors": vectors(1)})
    http.post("/v1/indexes/other/search", json={"vectors": vectors(1)})
    found = {device["device"]: device for device in http.get("/v1/devices").json()["devices"]}
    assert found["cpu"]["state"] == "ready"
    assert all("reason" in device for device in found.values() if device["state"] == "missing")
    lines = http.get("/metrics").text.splitlines()
    for status in ("200", "404"):
        line = (
            f'ninefold_http_requests_total{{method="POST",route="/v1/indexes/{{name}}/search",status="{status}"}} 1.0'
        )
        assert line in lines
    assert any(line.startswith("ninefold_tasks_total") and 'operator="mine"' in line for line in lines)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("POST", SEARCH, {}, 422, "give either texts or vectors"),
        ("POST", SEARCH, {"texts": ["a"], "vectors": [[1.0]]}, 422, "give either texts or vectors"),
        ("POST", SEARCH, {"texts": ["a"]}, 422, "notes holds vectors"),
        ("POST", SEARCH, {"vectors": [[1.0, 2.0]]}, 422, f"vector 0 has 2 dimensions, and the index {DIMENSIONS}"),
        ("POST", SEARCH, {"vectors": [[1e39] * DIMENSIONS]}, 422, "inf"),
        ("POST", SEARCH, {"vectors": []}, 400, "vectors: a list of 0 is not allowed: a list of 1 to 1,024"),
        (
            "POST",
            SEARCH,
            {"vectors": [[1.0] * DIMENSIONS], "k": 257},
            400,
            "k: 257 is not allowed: a whole number, 1 to 256",
        ),
        ("POST", SEARCH, {"vectors": [[1.0] * DIMENSIONS], "k": 200, "rerank": 2}, 422, "rerank * k must be 1 to 256"),
        ("POST", SEARCH, {"vectors": [[1.0] * DIMENSIONS], "device": "gpu"}, 422, "gpu"),
        (
            "POST",
            SEARCH,
            {"vectors": [[1.0] * DIMENSIONS], "where": "year =="},
            422,
            "the filter is wrong",
        ),
        (
            "POST",
            SEARCH,
            {"vectors": [[1.0] * DIMENSIONS], "K": 3},
            400,
            "K is not allowed: only texts, vectors, k, rerank,",
        ),
        ("POST", SEARCH, {"x" * 10**6: 3}, 400, f"{'x' * 60} is not allowed: only texts, "),
        ("POST", SEARCH, {"vectors": [["a"]]}, 400, 'vectors[0][0]: "a" is not allowed: a number'),
        (
            "POST",
            "/v1/indexes/none/search",
            {"vectors": [[1.0]]},
            404,
            "no index none is served here; there are",
        ),
        ("POST", "/v1/indexes/..%2fnotes/search", {"vectors": [[1.0]]}, 404, ""),
        ("GET", ENTRIES, None, 400, "id"),
        ("GET", f"{ENTRIES}?{'&'.join(['id=a'] * 101)}", None, 400, "id"),
        ("PUT", ENTRIES, {"entries": []}, 400, "entries: a list of 0 is not allowed: a list of 1 or more"),
        ("PUT", ENTRIES, {"entries": [{"id": "a"}]}, 422, "upsert needs the vectors"),
        ("PUT", ENTRIES, {"entries": [{"id": "a", "text": "b"}], "vectors": vectors(2)}, 422, "of shape (1, 6)"),
        ("PUT", ENTRIES, {"entries": [{"id": "a", "fields": {"year": "x"}}], "vectors": vectors(1)}, 422, "entry a"),
        (
            "POST",
            "/v1/indexes/notes/backup",
            {"name": "../x"},
            400,
            'name: "../x" is not allowed: a string that matches ^[A-Za-z0-9]',
        ),
        (
            "POST",
            "/v1/indexes/notes/backup",
            {"name": "x", "keep": 0},
            400,
            "keep: 0 is not allowed: a whole number, 1 or more",
        ),
        (
            "POST",
            SEARCH,
            {"vectors": [[1.0] * DIMENSIONS], "k": "5"},
            400,
            'k: "5" is not allowed: a whole number, 1 to 256',
        ),
        (
            "POST",
            SEARCH,
            {"vectors": [[1.0]], "recall": 0},
            400,
            "recall: 0 is not allowed: a number more than 0 and at",
        ),
        ("POST", SEARCH, {"vectors": [[1.0]], "strict": "no"}, 400, 'strict: "no" is not allowed: true or false'),
        ("POST", SEARCH, {"vectors": [[1.0]], "scan": "all"}, 400, 'scan: "all" is not allowed: one of nits, signs'),
        ("POST", SEARCH, {"vectors": [[1.0]], "where": 3}, 400, "where: 3 is not allowed: a string"),
        ("POST", SEARCH, {"vectors": {"a": 1}}, 400, "vectors: an object is not allowed: a list of 1 to 1,024"),
        ("POST", SEARCH, {"texts": "x" * 99}, 400, "... (101 characters) is not allowed: a list of 1 to 1,024"),
        ("POST", SEARCH, [1], 400, "the body: a list of 1 is not allowed: an object"),
        (
            "POST",
            SEARCH,
            {"vectors": [[1.0]], "include": ["id"]},
            400,
            'include[0]: "id" is not allowed: one of fields,',
        ),
        ("PUT", ENTRIES, {"entries": [{"text": "a"}]}, 400, "entries[0].id is missing"),
        ("PUT", ENTRIES, {"entries": [{"id": ""}]}, 400, 'entries[0].id: "" is not allowed: a string of 1 or more'),
        (
            "PUT",
            ENTRIES,
            {"entries": [{"id": "a", "fields": 1}]},
            400,
            "entries[0].fields: 1 is not allowed: an object",
        ),
        ("GET", "/v1/nothing", None, 404, "Not Found"),
        ("DELETE", SEARCH, None, 405, "Method Not Allowed"),
    ],
)
def test_a_bad_request_is_refused_in_words(
    http: httpx.Client, method: str, path: str, body: Any, status: int, detail: str
) -> None:
    answer = http.request(method, path, json=body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert detail in problem["detail"]
    assert problem["status"] == status
    assert problem["error"] == problem["detail"]
    assert ("allow" in answer.headers) == (status == 405)


def test_the_schema_refuses_what_the_server_refuses(http: httpx.Client) -> None:
    schema = http.get("/openapi.json").json()
    assert http.get("/openapi.json").json() == schema
    parts = schema["components"]["schemas"]
    for request in ("SearchRequest", "UpsertRequest", "EntryMessage", "BackupRequest"):
        assert parts[request]["additionalProperties"] is False, request
    search = parts["SearchRequest"]
    assert [one["required"] for one in search["oneOf"]] == [["texts"], ["vectors"]]
    asked = {"vectors": vectors(1)}
    bounds = 0
    for name, declared in search["properties"].items():
        for one in declared.get("anyOf", [declared]):
            given = [one[side] + step for side, step in (("minimum", -1), ("maximum", 1)) if side in one]
            given += [one["exclusiveMinimum"]] if "exclusiveMinimum" in one else []
            given += ["other"] if "enum" in one else []
            for value in given:
                refused = http.post(SEARCH, json={**asked, name: value})
                assert (refused.status_code, name in refused.json()["detail"]) == (400, True), (name, value)
                bounds += 1
    assert bounds == 14
    vector = search["properties"]["vectors"]["anyOf"][0]
    assert (vector["minItems"], vector["maxItems"], vector["items"]["minItems"]) == (1, 1024, 1)
    paths = {path: next(iter(operations.values())) for path, operations in schema["paths"].items()}
    named = {one["name"]: one["schema"] for path in paths.values() for one in path.get("parameters", ())}
    assert named["digest"]["pattern"] == "^[0-9a-f]{64}$"
    assert named["name"]["enum"] == ["notes"]
    assert "mine" in named["operator"]["enum"]
    infer = schema["paths"]["/v2/models/{operator}/infer"]["post"]
    assert infer["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/InferRequest")
    assert "INT8" in parts["TensorMessage"]["properties"]["datatype"]["enum"]
    append = schema["paths"]["/v1/residents/{digest}"]["patch"]["parameters"]
    assert [one["name"] for one in append if one["required"]] == ["digest", "upload-offset"]


def test_limits_are_named(tmp_path: Path, own_folders: None) -> None:
    limits = Limits(body=2048, entries=2)
    with service_of(tmp_path, limits) as service, serving(service) as url, httpx.Client(base_url=url) as http:
        many = http.put(ENTRIES, json=new("a", "b", "c"))
        assert (many.status_code, many.json()["detail"]) == (413, "a write has at most 2 entries, not 3")
        large = http.put(ENTRIES, json={"entries": [{"id": "a", "text": "x" * 4096}]})
        assert large.status_code == 413
        endless = http.put(
            ENTRIES, content=(b" " * 512 for _ in range(16)), headers={"content-type": "application/json"}
        )
        assert endless.status_code == 413


def test_more_requests_than_allowed_are_refused_while_the_others_are_answered(
    tmp_path: Path, own_folders: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked, entered = threading.Event(), threading.Semaphore(0)
    search = Index.search

    def slow(self: Index, *args: Any, **options: Any) -> Any:
        entered.release()
        assert blocked.wait(30)
        return search(self, *args, **options)

    monkeypatch.setattr(Index, "search", slow)
    with (
        service_of(tmp_path, Limits(queue=2, workers=1)) as service,
        serving(service) as url,
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        answers: list[httpx.Response] = []
        ask: Callable[[], None] = lambda: answers.append(http.post(SEARCH, json={"vectors": vectors(1)}))  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert entered.acquire(timeout=30)
        until = time.monotonic() + 30
        while service.inside < 2 and time.monotonic() < until:
            time.sleep(0.01)
        refused = http.post(SEARCH, json={"vectors": vectors(1)})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["detail"] == "2 requests work or wait, of 2 allowed; try again"
        assert http.get("/v2/health/ready").status_code == 503
        assert http.get("/v2/health/live").status_code == 200
        blocked.set()
        for thread in threads:
            thread.join(30)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert service.inside == 0


def test_work_that_takes_too_long_keeps_its_place_until_it_ends(
    tmp_path: Path, own_folders: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = threading.Event()
    monkeypatch.setattr(Index, "search", lambda *_, **__: blocked.wait(30))
    with (
        service_of(tmp_path, Limits(queue=1, workers=1, seconds=0.2)) as service,
        serving(service) as url,
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        late = http.post(SEARCH, json={"vectors": vectors(1)})
        assert (late.status_code, service.inside) == (503, 1)
        assert late.json()["detail"].startswith("no answer within 0.2 s")
        assert http.post(SEARCH, json={"vectors": vectors(1)}).status_code == 503
        blocked.set()


def test_a_write_that_is_answered_too_late_is_made_once(
    tmp_path: Path, own_folders: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked, calls = threading.Event(), []
    upsert = Index.upsert

    def slow(self: Index, *args: Any, **options: Any) -> Any:
        calls.append(args)
        assert blocked.wait(30)
        return upsert(self, *args, **options)

    monkeypatch.setattr(Index, "upsert", slow)
    named = {"idempotency-key": "once"}
    with (
        service_of(tmp_path, Limits(seconds=0.2)) as service,
        serving(service) as url,
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        assert http.put(ENTRIES, json=new("x"), headers=named).status_code == 503  # the write continues
        again = http.put(ENTRIES, json=new("x"), headers=named)
        assert (again.status_code, again.json()["detail"]) == (
            409,
            "the request of the idempotency key once still runs",
        )
        blocked.set()
        wait_until(lambda: service.inside == 0)
        again = http.put(ENTRIES, json=new("x"), headers=named)
        assert again.json() == {"added": 1, "replaced": 0, "removed": 0}
        assert again.headers["idempotency-replayed"] == "true"
        assert len(calls) == 1


def test_a_write_whose_caller_leaves_is_made_noted_and_told_again(
    http: httpx.Client, service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, left, upsert = threading.Event(), threading.Event(), Index.upsert

    def slow(self: Index, *args: Any, **options: Any) -> Any:
        entered.set()
        assert left.wait(30)
        return upsert(self, *args, **options)

    monkeypatch.setattr(Index, "upsert", slow)
    body = json.dumps(new("x")).encode()
    head = f"PUT {ENTRIES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nIdempotency-Key: k\r\n\r\n"
    with caplog.at_level("INFO", "ninefold.audit"):
        with socket.create_connection((http.base_url.host, http.base_url.port or 0)) as connection:
            connection.sendall(head.encode() + body)
            assert entered.wait(30)
        left.set()
        wait_until(lambda: any("PUT of notes" in record.getMessage() for record in caplog.records))
    audited = [record for record in caplog.records if record.name == "ninefold.audit"]
    assert [getattr(record, "done", None) for record in audited] == [True]
    again = http.put(ENTRIES, content=body, headers={"idempotency-key": "k", "content-type": "application/json"})
    assert again.json()["added"] == 1
    assert again.headers["idempotency-replayed"] == "true"


def test_operators_leave_threads_for_everything_else(
    tmp_path: Path, own_folders: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked, entered = threading.Event(), threading.Semaphore(0)
    run = Scheduler.run

    def slow(self: Scheduler, *args: Any, **options: Any) -> Any:
        entered.release()
        assert blocked.wait(30)
        return run(self, *args, **options)

    asked = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}], "parameters": {"scale": 1}}
    with (
        service_of(tmp_path, Limits(workers=2)) as service,
        serving(service) as url,
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        ask: Callable[[], httpx.Response] = lambda: http.post("/v2/models/quantise/infer", json=asked)  # noqa: E731
        monkeypatch.setattr(Scheduler, "run", slow)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask)
            assert entered.acquire(timeout=30)
            refused = ask()
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["detail"] == "1 operators run, of 1 allowed at once; try again"
            assert http.post(SEARCH, json={"vectors": vectors(1)}).status_code == 200
            blocked.set()
            assert first.result().status_code == 200
        wait_until(lambda: service.operators == 0)
        assert ask().status_code == 200


def test_an_index_of_several_segments_is_copied_once_for_a_version(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = service.index("notes")
    index.upsert([Entry("new", "", "text")], np.array(vectors(1), np.float32))
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: service.database("notes"), range(8))]
    assert {id(one) for one in found} == {id(found[0])}
    assert found[0].attributes["rows"] == ROWS + 1
    monkeypatch.setattr("ninefold.host.server.service._COPIED", 100)
    with pytest.raises(ProblemError, match=r"notes has several segments, of .* bytes, and at most 100 are copied"):
        service.database("notes")


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_server_that_ends_answers_the_requests_inside(
    tmp_path: Path, own_folders: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()
    search = Index.search

    def slow(self: Index, *args: Any, **options: Any) -> Any:
        entered.set()
        time.sleep(0.5)
        return search(self, *args, **options)

    monkeypatch.setattr(Index, "search", slow)
    answers: list[httpx.Response] = []
    with service_of(tmp_path) as service:
        with serving(service) as url:
            thread = threading.Thread(
                target=lambda: answers.append(httpx.post(f"{url}{SEARCH}", json={"vectors": vectors(1)}, timeout=30))
            )
            thread.start()
            assert entered.wait(30)
        thread.join(30)
        assert [answer.status_code for answer in answers] == [200]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/v2/health/live")


def test_no_answer_waits_for_an_acknowledgement(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = _Protocol.connection_made, []

    def noted(self: _Protocol, transport: Any) -> None:
        made(self, transport)
        seen.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(_Protocol, "connection_made", noted)
    assert httpx.get(http.base_url.join("/v2/health/live")).status_code == 200
    assert seen
    assert all(seen)


def test_full_collections_of_a_server_s_process_skip_what_was_there_at_its_start(service: Service) -> None:
    before = gc.get_freeze_count()  # of the test run; objects that end leave it
    with serving(service):
        assert gc.get_freeze_count() <= before  # a server on a thread leaves the process to its owner
    frozen: list[int] = []

    def started(_url: str) -> None:
        frozen.append(gc.get_freeze_count())
        signal.raise_signal(signal.SIGTERM)

    serve(service, Address(port=0), started=started)
    assert frozen[0] > before


def test_a_taken_port_is_refused_with_the_address(service: Service) -> None:
    with serving(service) as url:
        port = int(url.rpartition(":")[2])
        said = f"127.0.0.1:{port} cannot be listened on: Address already in use"
        with pytest.raises(UnavailableError, match=said), serving(service, address=Address(port=port)):
            pass


def test_two_indexes_of_one_name_are_refused(tmp_path: Path, own_folders: None) -> None:
    index = str(tmp_path / "indexes" / "notes")
    service_of(tmp_path).close()
    with pytest.raises(InputError, match="two indexes would be served as notes"):
        Service([index, f"{index}/"], tmp_path)
