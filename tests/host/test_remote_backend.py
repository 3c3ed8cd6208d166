from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ninefold.host import Scheduler
from ninefold.host.backends.remote import FILE, VARIABLE, Remote, RemoteServer, servers
from ninefold.host.server.keys import KeyFile
from ninefold.host.server.service import Service
from ninefold.spec.data import Database, Task
from ninefold.spec.errors import DeviceError, InputError, UnavailableError, UnsupportedError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found, Missing

from .scheduler.fakes import Fake, FakeDevice, backends, cpu, database, queries
from .server.conftest import serving


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NINEFOLD_CPU_PATH", "numpy")
    monkeypatch.delenv("NINEFOLD_KEY", raising=False)
    (tmp_path / "data").mkdir()


@pytest.fixture
def gpu() -> Fake:
    return Fake("gpu", kind="gpu", rating=9)


@pytest.fixture
def service(gpu: Fake, tmp_path: Path) -> Iterator[Service]:
    scheduler = Scheduler(backends=backends(gpu, cpu()), costs=None)
    with Service([], tmp_path / "server", scheduler=scheduler) as one:
        yield one


@pytest.fixture
def address(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(service) as url:
        monkeypatch.setenv(VARIABLE, url)
        yield url.removeprefix("http://")


def here() -> Scheduler:
    return Scheduler(backends={"remote": Remote(), "cpu": cpu()}, costs=None, refresh_s=None)


def test_without_a_server_the_reason_says_how_to_name_one() -> None:
    (missing,) = Remote().probe()
    assert isinstance(missing, Missing)
    assert missing.reason == "no server of devices is named"
    assert "--remote URL" in missing.install
    with pytest.raises(UnavailableError, match="no server of devices is named"):
        Remote().open()


def test_the_devices_of_a_server_are_found_with_their_classes_and_ratings(address: str) -> None:
    found = {entry.device: entry for entry in Remote().probe() if isinstance(entry, Found)}
    assert sorted(found) == [f"remote:{address}/cpu", f"remote:{address}/gpu"]
    there = found[f"remote:{address}/gpu"]
    assert (there.kind, there.ratings["mine"], there.unit) == ("gpu", 8, f"{address}/gpu")
    assert there.description == "fake gpu, at 127.0.0.1"
    assert not any(OPERATORS[name].state_name for name in there.ratings)


def test_an_index_whose_parts_are_named_by_their_files_is_searched(address: str) -> None:
    data = database()
    named = Database(data.arrays, data.attributes, "5" * 64)
    device = f"remote:{address}/cpu"
    with here() as scheduler:
        answer = scheduler.run("mine", queries(), named, k=3, device=device, strict=True)
        right = scheduler.run("mine", queries(), data, k=3, device="cpu", strict=True)
    assert answer.answered_by == device
    for name, value in right.values.items():
        assert np.array_equal(answer.values[name], value)


def test_a_server_of_another_version_is_missing_and_both_versions_are_named(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ninefold.host.server.models.version", lambda _: "0.0.7")
    (missing,) = Remote().probe()
    assert isinstance(missing, Missing)
    assert missing.device == f"remote:{address}"
    assert missing.reason == f"http://{address} has Ninefold 0.0.7, and this machine {version('ninefold')}"
    assert missing.install == "install the same version on both"


def test_a_server_that_does_not_answer_is_missing_with_its_reason(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"http://{address},http://127.0.0.1:9")
    missing = [entry for entry in Remote().probe() if isinstance(entry, Missing)]
    assert [entry.device for entry in missing] == ["remote:127.0.0.1:9"]
    assert missing[0].reason.startswith("no answer from http://127.0.0.1:9: ")
    assert missing[0].install == "start `ninefold serve` at http://127.0.0.1:9"


def test_a_key_is_taken_from_the_file(service: Service, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    _, token = keys.add("anna", "write")
    file = tmp_path / "data" / FILE
    with serving(service, keys) as url:
        file.write_text(f"# of the laboratory\n{url}\n")
        (missing,) = Remote().probe()
        assert isinstance(missing, Missing)
        assert "a key is needed" in missing.reason
        file.write_text(f"{url} {token}\n")
        file.chmod(0o644)
        (missing,) = Remote().probe()
        assert isinstance(missing, Missing)
        assert f"{file} holds keys and may be read by others" in missing.reason
        file.chmod(0o600)
        assert all(isinstance(entry, Found) for entry in Remote().probe())
        assert token not in repr(servers())


def test_what_names_no_server_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for value, message in (
        ("host:8900", "such as https://host:8900, not 'host:8900'"),
        ("http://", "not 'http://'"),
        ("http://a:1,https://a:1", "a:1 is named twice"),
    ):
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(InputError, match=message):
            servers()
    monkeypatch.setenv(VARIABLE, " http://a:1 , ,https://b:2")
    assert servers() == [RemoteServer("http://a:1"), RemoteServer("https://b:2")]
    (tmp_path / "data" / FILE).write_text("http://c:3 key more\n")
    with pytest.raises(InputError, match="a URL and a key, not 3 words"):
        servers()


def test_a_call_is_answered_there_with_the_bits_of_here(address: str, gpu: Fake) -> None:
    given = database()
    with here() as scheduler:
        held = scheduler.load(given)
        found = scheduler.run("mine", queries(3), held, k=4, device=f"remote:{address}/gpu", strict=True)
        again = scheduler.run("mine", queries(3), held, k=4, device=f"remote:{address}/gpu", strict=True)
        expected = scheduler.run("mine", queries(3), held, k=4, device="cpu")
    for name, value in expected.values.items():
        assert np.array_equal(found.values[name], value)
        assert np.array_equal(again.values[name], value)
    assert (found.answered_by, found.path) == (f"remote:{address}/gpu", "gpu there")
    assert gpu.calls == 2
    assert gpu.device.loads == [given.digest]


def test_a_database_is_uploaded_once_for_all_devices_of_a_server(
    address: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended: list[str] = []
    append = service.residents.append

    def counted(caller: str, digest: str, *rest: Any, **more: Any) -> Any:
        appended.append(digest)
        return append(caller, digest, *rest, **more)

    monkeypatch.setattr(service.residents, "append", counted)
    given = database()
    for _ in range(2):
        with here() as scheduler:
            held = scheduler.load(given)
            for device in ("gpu", "cpu"):
                scheduler.run("mine", queries(), held, device=f"remote:{address}/{device}", strict=True)
    assert appended == [given.digest]


def test_a_server_chooses_among_its_devices_where_none_is_named(address: str, gpu: Fake) -> None:
    task = Task("quantise", {"x": queries()}, {"scale": 1.0, "mode": "linear"}, device=f"remote:{address}", strict=True)
    with here() as scheduler:
        assert scheduler.run_task(task).path == "gpu there"


def test_a_device_that_fails_there_falls_back_here_visibly(
    address: str, gpu: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burns(_device: FakeDevice, _call: object) -> None:
        raise DeviceError("it burns")

    gpu.behaviour = burns
    with here() as scheduler:
        held = scheduler.load(database())
        found = scheduler.run("mine", queries(), held, device=f"remote:{address}/gpu")
    assert found.answered_by == "cpu"
    assert found.fallbacks == (f"remote:{address}/gpu: the server refused: it burns",)


def test_a_server_that_goes_is_a_visible_fallback(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with here() as scheduler:
        held = scheduler.load(database())
        with serving(service) as url:
            monkeypatch.setenv(VARIABLE, url)
            scheduler.refresh()
            name = f"remote:{url.removeprefix('http://')}/gpu"
            assert scheduler.run("mine", queries(), held, device=name).answered_by == name
        found = scheduler.run("mine", queries(), held, device=name)
        assert found.answered_by == "cpu"
        assert found.fallbacks[0].startswith(f"{name}: no answer from {url}: ")


def test_a_server_offers_no_devices_of_other_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    with Service([], tmp_path / "other") as other:
        assert not [status for status in other.scheduler.devices() if status.device.startswith("remote")]


def test_operators_with_a_state_carry_a_reason(address: str) -> None:
    reasons = Remote().operators()
    assert {name for name, reason in reasons.items() if reason} == {n for n, o in OPERATORS.items() if o.state_name}
    device = Remote().open(f"{address}/cpu")
    with pytest.raises(UnavailableError, match=f"no server of devices is named other:1, only {address}"):
        Remote().open("other:1/cpu")
    call = OPERATORS["mine"].bind({"q": queries(), "database": database()})
    with pytest.raises(DeviceError, match="has not loaded"):
        device.run(call)
    device.close()


def test_what_a_device_there_refuses_is_refused_here(address: str, gpu: Fake) -> None:
    def refuses(_device: FakeDevice, _call: object) -> None:
        raise UnsupportedError("gpu does not run mine: it is too hot")

    gpu.behaviour = refuses
    with here() as scheduler:
        held = scheduler.load(database())
        with pytest.raises(UnsupportedError, match="it is too hot"):
            scheduler.run("mine", queries(), held, device=f"remote:{address}/gpu", strict=True)
