"""Telemetry: metrics in Prometheus' format, structured records, a timeline, the devices, and energy from sensors."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ninefold.host.scheduler import Scheduler
from ninefold.host.scheduler.telemetry import energy, sensors
from ninefold.spec.errors import DeviceError, LostDeviceError
from ninefold.spec.protocols import Missing
from ninefold.spec.signature import Call

from .fakes import Fake, FakeDevice, backends, cpu, database, queries

DATA = database()


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def fails(_device: FakeDevice, _call: Call) -> None:
    raise LostDeviceError("the link is lost")


def test_metrics() -> None:
    with Scheduler(backends=backends(cpu(), Fake("gpu", fails)), costs=None) as s:
        for _ in range(3):
            s.run("mine", queries(), DATA)
        s.run("mine", queries(), DATA, device="gpu")
        with pytest.raises(DeviceError):
            s.run("mine", queries(), DATA, device="gpu", strict=True)
        found = samples(s.metrics())
    answered = found["ninefold_tasks_total", "device=cpu", "operator=mine", "outcome=answered"]
    assert answered == 4
    assert found["ninefold_tasks_total", "device=", "operator=mine", "outcome=failed"] == 1
    assert found["ninefold_task_seconds_count", "device=cpu", "operator=mine"] == 4
    buckets = [found[key] for key in found if key[0] == "ninefold_task_seconds_bucket" and "device=cpu" in key]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 4
    assert found["ninefold_task_seconds_bucket", "device=cpu", "le=+Inf", "operator=mine"] == 4
    assert 0 < found["ninefold_task_seconds_sum", "device=cpu", "operator=mine"] < 60
    assert found["ninefold_fallbacks_total", "device=gpu", "operator=mine", "reason=LostDeviceError"] == 1
    assert found["ninefold_breaker_state", "device=gpu"] == 1
    assert found["ninefold_breaker_state", "device=cpu"] == 0
    assert found["ninefold_queue_depth", "device=cpu"] == 0
    assert found["ninefold_resident_bytes", "device=cpu"] == DATA.nbytes
    assert found["ninefold_hung_calls", "device=gpu"] == 0


def test_a_log_handler_may_ask_the_scheduler() -> None:
    states: dict[str, str] = {}

    class Asks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            states[record.getMessage()] = next(status.state for status in s.devices() if status.device == "gpu")

    handler, logger = Asks(), logging.getLogger("ninefold.scheduler")
    logger.addHandler(handler)
    try:
        with Scheduler(backends=backends(cpu(), Fake("gpu", fails)), costs=None) as s:
            assert s.submit("mine", queries(), DATA, device="gpu").result(60).answered_by == "cpu"
    finally:
        logger.removeHandler(handler)
    for message in ("a circuit breaker changed", "a task falls back from a device"):
        assert "the link is lost" in states[message]


def test_records_carry_fields(caplog: pytest.LogCaptureFixture) -> None:
    s = Scheduler(backends=backends(cpu(), Fake("gpu", fails)), costs=None)
    with caplog.at_level(logging.DEBUG, "ninefold.scheduler"), s:
        s.run("mine", queries(), DATA, device="gpu")
    by_message = {record.message: record.__dict__ for record in caplog.records}
    assert by_message["a circuit breaker changed"]["state"] == "open"
    assert by_message["a circuit breaker changed"]["device"] == "gpu"
    moved = by_message["a task falls back from a device"]
    assert (moved["operator"], moved["asked_for"], moved["reason"]) == ("mine", "gpu", "the link is lost")
    ended = by_message["a task ended"]
    assert (ended["outcome"], ended["device"]) == ("answered", "cpu")


def test_a_timeline_of_calls_on_a_track_for_each_device(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with Scheduler(backends=backends(cpu(), Fake("gpu", fails)), costs=None, timeline=True) as s:
        s.run("quantise", np.zeros((2, 4), np.float32), scale=1.0, device="cpu")
        s.run("mine", queries(), DATA, k=3, device="gpu")
        s.write_timeline(path)
    events = json.loads(path.read_text())["traceEvents"]
    tracks = {e["args"]["name"]: e["tid"] for e in events if e["ph"] == "M"}
    assert set(tracks) == {"cpu", "gpu"}
    slices = {e["name"]: e for e in events if e["ph"] == "X"}
    assert slices["mine"]["tid"] == tracks["cpu"]
    shown = {"Q": 1, "D": 16, "N": 40, "k": 3, "scan": "nits", "oversample": 32, "tasks": 1}
    assert slices["mine"]["args"] == shown
    assert all(e["dur"] >= 0 and e["ts"] >= 0 for e in slices.values())
    assert {e["name"] for e in events if e["ph"] == "i"} == {"mine falls back", "breaker open"}


def test_devices_with_what_is_on_them() -> None:
    fakes = backends(
        cpu(), Fake("gpu", capacity=1000), Fake("npu", missing="openvino sees CPU only"), Fake("fpga", fails)
    )
    with Scheduler(backends=fakes, costs=None) as s:
        s.run("mine", queries(), DATA, device="gpu")
        s.run("mine", queries(), DATA, device="fpga")
        listed = {status.device: status for status in s.devices()}
    assert [*listed] == ["cpu", "gpu", "npu", "fpga"]
    assert listed["gpu"].residents == {DATA.digest: DATA.nbytes}
    assert listed["gpu"].capacity_bytes == 1000
    assert listed["cpu"].state == "ready"
    assert listed["fpga"].state == "open: the link is lost"
    assert listed["npu"].state == "missing"
    assert isinstance(listed["npu"].entry, Missing)
    assert listed["npu"].entry.install == "plug npu in"


@pytest.fixture
def rapl(tmp_path: Path) -> Path:
    for number, microjoules in enumerate((2_500_000, 7_000_000)):
        folder = tmp_path / f"intel-rapl:{number}"
        folder.mkdir()
        (folder / "name").write_text(f"package-{number}\n")
        (folder / "energy_uj").write_text(f"{microjoules}\n")
    return tmp_path


class NVMLError(Exception):
    pass


def nvml(**changes: object) -> SimpleNamespace:
    functions = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda i: f"card {i}",
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: {"card 0": 12_000}[handle],
        "NVMLError": NVMLError,
    }
    return SimpleNamespace(**{**functions, **changes})


def test_processors(rapl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    found, reasons = sensors(rapl)
    assert {sensor.name: sensor.joules() for sensor in found} == {"rapl:package-0": 2.5, "rapl:package-1": 7.0}
    assert reasons == ["NVML: pynvml is not installed"]
    (rapl / "intel-rapl:0" / "energy_uj").write_text("3500000")
    assert found[0].joules() == 3.5


def test_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    found, reasons = sensors(tmp_path)
    assert [(sensor.name, sensor.joules()) for sensor in found] == [("nvml:0", 12.0)]
    assert reasons == [f"RAPL: no counter in {tmp_path}"]


def test_a_card_without_a_counter_and_a_machine_without_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_handle: object) -> int:
        raise NVMLError("Not Supported")

    monkeypatch.setitem(sys.modules, "pynvml", nvml(nvmlDeviceGetTotalEnergyConsumption=none))
    assert sensors(tmp_path)[1][1] == "NVML: Not Supported"
    monkeypatch.setitem(sys.modules, "pynvml", nvml(nvmlDeviceGetCount=lambda: 0))
    assert sensors(tmp_path)[1][1] == "NVML: no card"


def test_a_counter_that_may_not_be_read(rapl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    (rapl / "intel-rapl:1" / "energy_uj").write_text("")
    found, reasons = sensors(rapl)
    assert [sensor.name for sensor in found] == ["rapl:package-0"]
    assert "intel-rapl:1/energy_uj cannot be read" in reasons[0]


def test_it_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    (family,) = energy()
    assert [s.value for s in family.samples if s.labels == {"sensor": "nvml:0"}] == [12.0]
