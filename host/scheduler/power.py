"""Energy counters of the machine's sensors; energy is never estimated."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

__all__ = ["Sensor", "energy", "sensors"]

#: Folder of the processors' energy counters in Linux (running average power limit).
RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Sensor:
    """Energy counter.

    Attributes
    ----------
    name : str
        Name of the sensor, e.g. ``rapl:package-0`` or ``nvml:0``.
    joules : callable
        ``joules()`` returns the energy since an arbitrary time; RAPL's counters wrap around.
    """

    name: str
    joules: Callable[[], float]


def sensors(rapl: Path = RAPL) -> tuple[list[Sensor], list[str]]:
    """Return the readable sensors, and the reason for each kind that cannot be read.

    Parameters
    ----------
    rapl : Path
        Folder of the processors' counters.
    """
    processors, why_no_rapl = _rapl(rapl)
    cards, why_no_nvml = _nvml()
    return processors + cards, [reason for reason in (why_no_rapl, why_no_nvml) if reason]


def energy() -> Iterator[GaugeMetricFamily]:
    """Yield a metric with the energy counted by each sensor."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily("ninefold_energy_joules", "Energy counters of this machine.", labels=("sensor",))
    for sensor in sensors()[0]:
        family.add_metric((sensor.name,), sensor.joules())
    yield family


def _rapl(folder: Path) -> tuple[list[Sensor], str]:
    counters = sorted(folder.glob("*-rapl:*/energy_uj"))
    if not counters:
        return [], f"RAPL: no counter in {folder}"
    found: list[Sensor] = []
    for counter in counters:
        try:
            name = (counter.parent / "name").read_text().strip()
            int(counter.read_text())
        except (OSError, ValueError) as error:
            return found, f"RAPL: {counter} cannot be read: {getattr(error, 'strerror', None) or error}"
        found.append(Sensor(f"rapl:{name}", partial(_joules, counter)))
    return found, ""


def _joules(counter: Path) -> float:
    return int(counter.read_text()) / 1e6


def _nvml() -> tuple[list[Sensor], str]:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return [], "NVML: pynvml is not installed"
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        found: list[Sensor] = []
        for number, handle in enumerate(handles):
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)  # raises if the card has no counter
            found.append(Sensor(f"nvml:{number}", partial(_card_joules, nvml, handle)))
    except nvml.NVMLError as error:
        return [], f"NVML: {error}"
    return found, "" if found else "NVML: no card"


def _card_joules(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
