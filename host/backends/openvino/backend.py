"""OpenVINO as a backend: probing and opening."""

import importlib.util
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ninefold.host.openvino_runtime import KINDS, kind_of, one_line, start, visible
from ninefold.spec.errors import UnavailableError
from ninefold.spec.protocols import HOST, Found, Missing
from ninefold.spec.runners import Runners, scan

from .check import inexact
from .device import OpenVinoDevice

__all__ = ["OpenVino"]

#: Time limit of a call in seconds; the first call compiles graphs, and on a GPU or NPU the sentence model.
TIMEOUT_S = 120.0
#: Kind -> (path of its hardware in Linux, remedy if OpenVINO does not see it).
_DRIVERS: Final = {
    "GPU": ("/dev/dri", "an Intel GPU needs Intel's compute runtime (intel-opencl-icd) and membership in group render"),
    "NPU": ("/dev/accel", "an Intel NPU needs Intel's linux-npu-driver and membership in group render"),
    "CPU": ("/proc/cpuinfo", "reinstall it: pip install --force-reinstall openvino"),
}
_INSTALL: Final = "pip install 'ninefold[openvino]'"


class OpenVino:
    """The backend ``openvino``: ``openvino:GPU``, ``openvino:NPU``, ``openvino:CPU``, or another of OpenVINO's names.

    The bare name selects the best device found: the GPU, else the NPU, else the processor.
    """

    name = "openvino"

    def probe(self) -> Sequence[Found | Missing]:
        """Return the devices that OpenVINO sees, best first, and each usual kind of device that it does not see."""
        if importlib.util.find_spec("openvino") is None:
            reason = "the package openvino is not installed"
            return [Missing(f"openvino:{kind}", reason, _INSTALL) for kind in KINDS]
        try:
            core, version = start()
            names = visible(core)
        except Exception as error:  # drivers' libraries raise any type, and a probe must not raise
            reason = f"openvino is installed but does not start: {one_line(error)}"
            return [Missing(f"openvino:{kind}", reason, _INSTALL) for kind in KINDS]
        seen = f"openvino {version} sees {', '.join(names) or 'no device'}{' only' if len(names) == 1 else ''}"
        found: list[Found | Missing] = []
        for name in names:
            text = f"{_full_name(core, name)}, by openvino {version}"
            kind = kind_of(name)
            unit = HOST if kind == "CPU" else ""
            found.append(
                Found(
                    f"openvino:{name}",
                    text,
                    _runners().ratings(kind.lower()),
                    kind=kind.lower(),
                    unit=unit,
                    timeout_s=TIMEOUT_S,
                )
            )
        for kind in KINDS:
            if kind not in map(kind_of, names):
                place, install = _DRIVERS[kind]
                note = "" if Path(place).exists() else f", and there is no {place}"
                found.append(Missing(f"openvino:{kind}", seen + note, install))
        return found

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator, or the reason that this backend does not run it."""
        return _runners().operators()

    def resolve(self, instance: str) -> str:
        """Return the device's name in capitals, as OpenVINO spells it."""
        return f"openvino:{instance.upper()}"

    def open(self, instance: str = "") -> OpenVinoDevice:
        """Open a device by OpenVINO's name; the best device for an empty name.

        Raises
        ------
        UnavailableError
            OpenVINO is not installed, does not start, or does not see that device.
        """
        if importlib.util.find_spec("openvino") is None:
            raise UnavailableError("the package openvino is not installed", _INSTALL)
        try:
            core, version = start()
            names = visible(core)
        except (ImportError, RuntimeError) as error:
            raise UnavailableError(f"openvino is installed but does not start: {one_line(error)}", _INSTALL) from error
        instance = instance.upper()
        # GPU and GPU.0 name the same device.
        known = [*names, *(f"{n}.0" for n in names if "." not in n), *(kind_of(n) for n in names)]
        if not names or (instance and instance not in known):
            wanted = f"openvino has no device {instance!r}: " if instance else ""
            install = _DRIVERS[kind_of(instance)][1] if kind_of(instance) in _DRIVERS else ""
            raise UnavailableError(f"{wanted}openvino {version} sees {', '.join(names) or 'no device'}", install)
        return OpenVinoDevice(instance or names[0], _runners(), inexact)


@lru_cache
def _runners() -> Runners:
    return scan(__package__)


def _full_name(core: Any, name: str) -> str:
    try:
        return str(core.get_property(name, "FULL_DEVICE_NAME"))
    except RuntimeError:
        return f"an unnamed {name}"
