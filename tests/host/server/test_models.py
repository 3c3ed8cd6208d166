from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from ninefold.host import Client, run
from ninefold.host.index.embedding import embedder
from ninefold.host.server import residents as residents_module
from ninefold.host.server.inference import describe, served
from ninefold.host.server.problems import ProblemError
from ninefold.host.server.service import Service
from ninefold.host.server.tensors import InferRequest, Tensors, message
from ninefold.spec.data import Database, Task
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS

from ..scheduler.fakes import database
from .conftest import serving, vectors

INFER = "/v2/models/similarity/infer"
#: similarity of two queries and three rows: 1*1 + 2*0, 1*2 + 2*(-1), ...
Q, C = [[1, 2], [-3, 4]], [[1, 0], [2, -1], [0, 4]]
SCORES = [1, 0, 8, -3, -10, 16]


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with serving(service) as found:
        yield found


def int8(name: str, rows: list[list[int]], **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(rows), len(rows[0])], "datatype": "INT8", "data": rows, **more}


def test_a_model_answers_numbers_in_json(http: httpx.Client) -> None:
    flat = {"name": "q", "shape": [2, 2], "datatype": "INT8", "data": [1, 2, -3, 4]}
    for first in (int8("q", Q), flat):
        answer = http.post(INFER, json={"id": "a1", "inputs": [first, int8("c", C)]})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["model_name"], body["model_version"], body["id"]) == ("similarity", "1", "a1")
        assert body["parameters"]["answered_by"] == "cpu"
        assert body["outputs"] == [{"name": "scores", "shape": [2, 3], "datatype": "INT32", "data": SCORES}]


def test_a_model_answers_bytes_behind_the_json(http: httpx.Client) -> None:
    content = np.array(Q, np.int8).tobytes()
    q = {"name": "q", "shape": [2, 2], "datatype": "INT8", "parameters": {"binary_data_size": len(content)}}
    asked = {"inputs": [q, int8("c", C)], "outputs": [{"name": "scores", "parameters": {"binary_data": True}}]}
    head = json.dumps(asked).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    answer = http.post(INFER, content=head + content, headers=headers)
    length = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output == {"name": "scores", "shape": [2, 3], "datatype": "INT32", "parameters": {"binary_data_size": 24}}
    assert np.frombuffer(answer.content[length:], "<i4").tolist() == SCORES


def test_options_device_and_index_are_parameters(http: httpx.Client, service: Service) -> None:
    rows = vectors(2)
    q = {"name": "q", "shape": [2, 6], "datatype": "FP32", "data": rows}
    parameters = {"database": "notes", "k": 3, "scan": "signs", "device": "cpu", "strict": True}
    body = http.post("/v2/models/mine/infer", json={"inputs": [q], "parameters": parameters}).json()
    outputs = {one["name"]: one for one in body["outputs"]}
    expected = service.index("notes").mine(np.array(rows, np.float32), k=3, scan="signs")
    assert outputs["ids"]["data"] == expected.values["ids"].reshape(-1).tolist()
    assert outputs["scores"]["data"] == expected.values["scores"].reshape(-1).tolist()


def test_every_operator_without_a_state_is_a_model(http: httpx.Client) -> None:
    metadata = http.get("/v2").json()
    assert metadata["models"] == served()
    assert set(OPERATORS) - set(served()) == {name for name, one in OPERATORS.items() if one.state_name}
    for name in served():
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/1"):
            model = http.get(path).json()
            assert (model["name"], model["versions"], model["platform"]) == (name, ["1"], "ninefold")
            assert model["inputs"]
            assert model["outputs"]
    mine = describe(OPERATORS["mine"])
    assert [(one.name, one.datatype, one.shape) for one in mine.inputs] == [
        ("q", "FP32", [-1, -1]),
        ("allowed", "UINT8", [-1]),
    ]
    assert mine.parameters["k"] == "an integer from 1 to 256"
    phases = describe(OPERATORS["phase_hash"])
    assert [(one.datatype, one.shape) for one in phases.inputs] == [("FP32", [-1, 9, 2])]
    assert http.get("/v2/models/mine/ready").json() == {"name": "mine", "ready": True}


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("/v2/models/nine/infer", {"inputs": []}, 404, "did you mean 'mine'?"),
        ("/v2/models/wave_step/infer", {"inputs": []}, 404, "wave_step has a state, which no request names"),
        ("/v2/models/mine/versions/2/infer", {"inputs": []}, 404, "mine has the version 1, not 2"),
        (INFER, {}, 400, "inputs is missing"),
        (INFER, {"inputs": [int8("q", Q)]}, 422, "similarity needs the argument c"),
        (INFER, {"inputs": [int8("q", Q), int8("x", C)]}, 422, "inputs of similarity are q, c, not x"),
        (INFER, {"inputs": [int8("q", Q), int8("q", C)]}, 422, "the tensor q is given twice"),
        (INFER, {"inputs": [int8("q", [[5, 0]]), int8("c", C)]}, 422, "q must be -4 to 4, not 5"),
        (INFER, {"inputs": [int8("q", [[500, 0]]), int8("c", C)]}, 422, "a number that INT8 does not hold"),
        (INFER, {"inputs": [int8("q", [[1.5, 0]]), int8("c", C)]}, 422, "must hold numbers of INT8, not 1.5"),
        (INFER, {"inputs": [int8("q", [[True, 0]]), int8("c", C)]}, 422, "must hold numbers of INT8, not True"),
        (INFER, {"inputs": [int8("q", [[1, 2], [3]]), int8("c", C)]}, 422, "lists of equal lengths"),
        (
            INFER,
            {"inputs": [int8("q", Q, shape=[3, 2]), int8("c", C)]},
            422,
            "6 elements by its shape, and 4",
        ),
        (
            INFER,
            {"inputs": [int8("q", Q, shape=[-1, 2]), int8("c", C)]},
            400,
            "inputs[0].shape[0]: -1 is not allowed: a whole number, 0 or more",
        ),
        (INFER, {"inputs": [int8("q", Q, datatype="INT9"), int8("c", C)]}, 422, "must be one of BOOL, BYTES, FP16"),
        (INFER, {"inputs": [int8("q", Q, datatype="FP16"), int8("c", C)]}, 422, "q is FP16, which is sent as bytes"),
        (INFER, {"inputs": [int8("q", Q, data=None), int8("c", C)]}, 422, "q needs data, a list, or binary_data_size"),
        (INFER, {"inputs": [int8("q", Q), int8("c", C)], "parameters": {"x": 1}}, 422, "normalised, not 'x'"),
        (INFER, {"inputs": [int8("q", Q), int8("c", C)], "outputs": [{"name": "x"}]}, 422, "outputs of similarity are"),
        (INFER, {"inputs": [int8("q", Q), int8("c", C)], "parameters": {"strict": 1}}, 422, "strict true or false"),
        ("/v2/models/mine/infer", {"inputs": []}, 422, "mine needs the parameter database"),
        (
            "/v2/models/mine/infer",
            {"inputs": [], "parameters": {"database": "other"}},
            422,
            "database must be an index of this server (notes), or a resident",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_refused(
    http: httpx.Client, path: str, body: Any, status: int, detail: str
) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert detail in answer.json()["error"]


@pytest.mark.parametrize(
    ("size", "behind", "header", "detail"),
    [
        (4, b"\1\2\3", None, "binary_data_size of q must be 0 to 3, not 4"),
        (3, b"\1\2\3", None, "q has 4 bytes by its shape, and 3 were sent"),
        (4, b"\1\2\3\4\0", None, "1 bytes behind the JSON belong to no tensor"),
        (-1, b"\1\2\3\4", None, "not -1"),
        ("4", b"\1\2\3\4", None, "not '4'"),
        (True, b"\1\2\3\4", None, "not True"),
        (4, b"\1\2\3\4", "99999", "inference-header-content-length must be 0 to"),
        (4, b"\1\2\3\4", "x", "not x"),
        (4, b"\1\2\3\4", "-5", "not -5"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(
    http: httpx.Client, size: Any, behind: bytes, header: str | None, detail: str
) -> None:
    q = {"name": "q", "shape": [2, 2], "datatype": "INT8", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [q, int8("c", C)]}).encode()
    length = str(len(head)) if header is None else header
    answer = http.post(INFER, content=head + behind, headers={"inference-header-content-length": length})
    assert answer.status_code in (400, 422)
    assert detail in answer.json()["error"]


def test_a_small_request_for_a_large_answer_is_refused(url: str) -> None:
    many = np.ones((100_000, 1), np.int8)
    start = time.monotonic()
    with (
        Client(url) as client,
        pytest.raises(InputError, match=r"results may take 80,000,000,000 bytes"),
    ):
        client.infer("similarity", {"q": many, "c": many})
    assert time.monotonic() - start < 10


def test_what_json_lacks_is_sent_as_bytes() -> None:
    for array in (np.float32([np.nan]), np.float64([np.inf]), np.float16([1])):
        with pytest.raises(InputError, match="binary_data"):
            message("x", array, binary=False)
        tensor, content = message("x", array, binary=True)
        body = msgspec.json.encode(InferRequest([tensor]))
        found = Tensors.of(InferRequest, body + content, str(len(body))).arrays()["x"]
        assert found.dtype == array.dtype
        assert np.array_equal(found, array, equal_nan=True)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint32", "int64", "uint64", "float32", "complex64", "complex128"]
)
@pytest.mark.parametrize("binary", [True, False])
def test_arrays_come_back_as_they_were(dtype: str, binary: bool) -> None:
    generator = np.random.default_rng(3)
    for shape in ((0,), (1,), (3, 4), (2, 0, 3), ()):
        array = np.asarray(generator.integers(0, 2 if dtype == "bool" else 99, shape)).astype(dtype)
        tensor, content = message("x", np.asarray(array, order="F"), binary=binary)
        body = msgspec.json.encode(InferRequest([tensor]))
        found = Tensors.of(InferRequest, body + content, str(len(body))).arrays()["x"]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert np.array_equal(found, array)


def test_a_client_runs_operators_with_the_bits_of_this_machine(url: str) -> None:
    generator = np.random.default_rng(5)
    psi = generator.normal(size=(7, 9, 2)).astype(np.float32).view(np.complex64)[..., 0]
    calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("quantise", {"x": generator.normal(size=(3, 5)).astype(np.float32)}, {"scale": 1.5, "mode": "tanh"}),
        ("phase_hash", {"psi": psi}, {}),
        ("quantise", {"x": psi}, {"scale": 1.5, "mode": "linear"}),
        ("topk", {"scores": np.array([[3, 1, 2]], np.int32)}, {"k": 2}),
    ]
    with Client(url) as client:
        for operator, arguments, options in calls:
            found = client.infer(operator, arguments, **options)
            expected = run(Task(operator, arguments, options)).values
            assert found.values.keys() == expected.keys()
            for name, value in expected.items():
                assert np.array_equal(found.values[name], value)
            assert (found.answered_by, found.fallbacks) == ("cpu", ())


# Residents.


def test_a_database_is_uploaded_once_and_used_by_its_digest(url: str, service: Service) -> None:
    given = database()
    q = np.random.default_rng(5).normal(0, 2, (3, 16)).astype(np.float32)
    with Client(url) as client:
        assert client.upload(given) == given.digest
        found = client.infer("mine", {"q": q}, database=given.digest, k=4)
        expected = run(Task("mine", {"q": q, "database": given}, {"k": 4})).values
        assert all(np.array_equal(found.values[name], value) for name, value in expected.items())
        sent = service.residents.state("", given.digest)
        assert client.upload(given) == given.digest
        assert service.residents.state("", given.digest) == sent
    # A server that starts again reads the file, and compares its digest.
    service.residents._loaded.clear()
    assert service.residents.database("", given.digest).digest == given.digest


def test_an_upload_is_resumed_and_a_repeated_part_is_harmless(
    url: str, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ninefold.host.server.calls._PART", 100)
    given = database()
    path = f"/v1/residents/{given.digest}"
    with Client(url) as client:
        appended: list[int] = []
        send = client._http.request

        def counted(method: str, *args: Any, **options: Any) -> httpx.Response:
            answer = send(method, *args, **options)
            if method == "PATCH":
                appended.append(len(options["content"]))
                if len(appended) == 3:
                    raise httpx.ReadError("the answer was lost")
                if len(appended) == 5:
                    raise KeyboardInterrupt
            return answer

        monkeypatch.setattr(client._http, "request", counted)
        with pytest.raises(KeyboardInterrupt):
            client.upload(given)
        state = http.head(path)
        assert (state.headers["upload-offset"], state.headers["upload-complete"]) == ("400", "?0")
        client.upload(given)
        assert http.head(path).headers["upload-complete"] == "?1"


@pytest.fixture
def packed() -> tuple[Database, bytes]:
    import io

    from ninefold.host.server.residents import pack

    given, file = database(), io.BytesIO()
    pack(given, file)
    return given, file.getvalue()


def test_an_upload_that_is_not_what_its_name_says_is_not_kept(
    http: httpx.Client, packed: tuple[Database, bytes]
) -> None:
    given, content = packed
    for wrong, detail in (
        (content[:-30], "the upload is no database"),
        (b"", "the upload is no database"),
        (
            bytes([content[60] ^ 1 if at == 60 else byte for at, byte in enumerate(content)]),
            "the upload is no database",
        ),
    ):
        refused = http.put(f"/v1/residents/{given.digest}", content=wrong)
        assert (refused.status_code, detail in refused.json()["detail"]) == (422, True), refused.text
        assert http.head(f"/v1/residents/{given.digest}").headers["upload-offset"] == "0"
    other = "0" * 64
    refused = http.put(f"/v1/residents/{other}", content=content)
    assert refused.json()["detail"].startswith(f"the uploaded database has the digest {given.digest}, not {other}")
    assert http.put(f"/v1/residents/{given.digest}", content=content).status_code == 200


def test_compressed_uploads_are_refused(http: httpx.Client) -> None:
    import io
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nits.npy", bytes(1 << 20))
    refused = http.put(f"/v1/residents/{'0' * 64}", content=file.getvalue())
    assert (refused.status_code, "may not be compressed" in refused.json()["detail"]) == (422, True)


def test_names_offsets_and_quotas_are_checked(
    http: httpx.Client, service: Service, packed: tuple[Database, bytes]
) -> None:
    given, content = packed
    path = f"/v1/residents/{given.digest}"
    for name in ("x", "..%2f..%2fx", given.digest.upper(), given.digest + "0"):
        assert http.put(f"/v1/residents/{name}", content=content).status_code in (404, 422)
    assert http.patch(path, content=content).status_code == 400
    assert http.patch(path, content=content, headers={"upload-offset": "-1"}).status_code == 400
    assert http.patch(path, content=content[:50], headers={"upload-offset": "0"}).status_code == 200
    refused = http.patch(path, content=b"xxx", headers={"upload-offset": "10"})
    assert (refused.status_code, refused.headers["upload-offset"]) == (409, "50")
    service.residents.quota = 60
    assert http.patch(path, content=content[50:], headers={"upload-offset": "50"}).status_code == 413
    assert http.delete(path).status_code == 204
    assert http.delete(path).status_code == 404


def test_what_one_key_uploads_no_other_sees(service: Service, packed: tuple[Database, bytes]) -> None:
    given, content = packed
    residents = service.residents
    assert residents.append("anna", given.digest, 0, content, last=True) == (len(content), True)
    assert residents.state("ben", given.digest) == (0, False)
    with pytest.raises(Exception, match="was uploaded by this key"):
        residents.database("ben", given.digest)
    residents.remove("anna", given.digest)
    with pytest.raises(Exception, match="was uploaded by this key"):
        residents.database("anna", given.digest)


def test_unfinished_uploads_are_few_and_end(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    residents = service.residents
    monkeypatch.setattr("ninefold.host.server.residents._MOST", 3)
    for number in range(3):
        residents.append("anna", f"{number:064x}", 0, b"", last=False)  # takes no bytes of the quota
    with pytest.raises(ProblemError, match="a key may hold 3 residents, unfinished uploads included"):
        residents.append("anna", f"{9:064x}", 0, b"x", last=False)
    residents.append("anna", f"{0:064x}", 0, b"x", last=False)
    residents.append("ben", f"{9:064x}", 0, b"x", last=False)
    day_ago = time.time() - 90_000
    os.utime(residents.folder / "anna" / f"{1:064x}.part", (day_ago, day_ago))
    residents.append("anna", f"{9:064x}", 0, b"x", last=False)
    assert sorted(file.stem[-1] for file in (residents.folder / "anna").iterdir()) == ["0", "2", "9"]


def test_reading_a_large_upload_holds_up_no_other(
    service: Service, packed: tuple[Database, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, content = packed
    residents, entered, blocked = service.residents, threading.Event(), threading.Event()
    read = residents_module._read

    def slow(path: Path, digest: str) -> Database:
        entered.set()
        assert blocked.wait(30)
        return read(path, digest)

    residents.append("ben", given.digest, 0, content, last=True)
    monkeypatch.setattr(residents_module, "_read", slow)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(residents.append, "anna", given.digest, 0, content, last=True)
        assert entered.wait(30)
        assert residents.database("ben", given.digest).digest == given.digest
        residents.append("anna", "0" * 64, 0, b"part", last=False)
        blocked.set()
        assert reading.result(30) == (len(content), True)


def test_texts_are_embedded(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NINEFOLD_CACHE", "NINEFOLD_DATA"):  # the model is where all tests have it
        monkeypatch.delenv(name)
    path, texts = "/v2/models/embed/infer", ["where bees live", "Bienenstöcke"]
    asked = {"name": "texts", "shape": [2], "datatype": "BYTES"}
    answer = http.post(path, json={"inputs": [{**asked, "data": texts}]})
    assert answer.status_code == 200, answer.text
    found = answer.json()["outputs"][0]
    tokens, mask = embedder().arguments(texts)
    wanted = run(Task("embed", {"tokens": tokens, "mask": mask})).values["vectors"]
    # JSON numbers are read back exactly; the model runs on the same device.
    np.testing.assert_allclose(np.array(found["data"], np.float32).reshape(2, 384), wanted, atol=1e-6)
    content = b"".join(len(one.encode()).to_bytes(4, "little") + one.encode() for one in texts)

    def binary(content: bytes) -> httpx.Response:
        head = json.dumps({"inputs": [{**asked, "parameters": {"binary_data_size": len(content)}}]}).encode()
        headers = {"inference-header-content-length": str(len(head))}
        return http.post(path, content=head + content, headers=headers)

    assert binary(content).json()["outputs"][0] == found
    for broken, said in (
        (content[:-1], "texts ends within an element"),
        (content[:3], "texts ends within an element"),
        (content + b"\0\0\0\0", "texts has 2 elements by its shape, and more were sent"),
        (b"\1\0\0\0\xff\0\0\0\0", "texts holds text that is not UTF-8"),
        (b"\xff\xff\xff\xff", "texts ends within an element"),
        (bytes(8), "text 0 is empty"),
    ):
        refused = binary(broken)
        assert (refused.status_code, refused.json()["detail"][: len(said)]) == (422, said)
    for inputs, said in (
        ([{**asked, "data": ["a", 1]}], "texts must hold strings, not 1"),
        ([{**asked, "shape": [1, 2], "data": texts}], "texts must be BYTES of shape (Q,)"),
        ([{**asked, "data": texts}, {"name": "mask", "shape": [1], "datatype": "INT64", "data": [1]}], "give either"),
        ([{**asked, "name": "tokens", "data": texts}], "only texts may be BYTES, and not tokens"),
    ):
        refused = http.post(path, json={"inputs": inputs})
        assert (refused.status_code, refused.json()["detail"][: len(said)]) == (422, said)
    assert {"name": "texts", "datatype": "BYTES", "shape": [-1]} in http.get("/v2/models/embed").json()["inputs"]
