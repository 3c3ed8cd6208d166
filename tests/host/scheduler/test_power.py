"""Energy comes from sensors, or not at all."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ninefold.host.scheduler.power import energy, sensors


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
