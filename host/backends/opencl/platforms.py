"""OpenCL devices: their order, numbers and names."""

import contextlib
import ctypes
import functools
import importlib.util
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ninefold.spec.errors import InputError, UnavailableError
from ninefold.spec.protocols import HOST
from ninefold.spec.text import counted

from .icd import VENDORS, drivers, intel_library

if TYPE_CHECKING:
    import pyopencl as cl

__all__ = ["INSTALL", "DeviceEntry", "choose", "entries"]

INSTALL = "pip install 'ninefold[opencl]' for the processor, or install the driver of the GPU"
#: Time limit for drivers to list their devices, in seconds.
_PATIENCE_S = 20.0
_NO_PLATFORM = -1001


@dataclass(frozen=True)
class DeviceEntry:
    """OpenCL device.

    Attributes
    ----------
    index : int
        Number over all platforms, GPUs first, then accelerators, then processors.
    kind : str
        ``gpu``, ``npu`` (OpenCL's accelerators) or ``cpu``.
    device : pyopencl.Device
        The device.
    """

    index: int
    kind: str
    device: "cl.Device"

    @property
    def names(self) -> tuple[str, ...]:
        """Texts that a name may be part of: names and vendors of platform and device, and the platform's version."""
        platform = self.device.platform
        return (platform.name, platform.vendor, platform.version, self.device.name.strip(), self.device.vendor)

    @property
    def name(self) -> str:
        """Names of the device and its platform."""
        return f"{self.device.name.strip()} ({self.device.platform.name})"

    @property
    def description(self) -> str:
        """Description of the device."""
        d = self.device
        size = d.global_mem_size / 2**30
        return (
            f"{d.name.strip()} ({self.kind}; {d.platform.name}, driver {d.driver_version}; "
            f"{counted(d.max_compute_units, 'compute unit')}, {size:.1f} GiB)"
        )

    @property
    def has_doubles(self) -> bool:
        """True if the device computes in double precision, which OpenCL leaves to its maker."""
        return self.device.double_fp_config != 0

    @property
    def unit(self) -> str:
        """`HOST` for a processor; the PCI address of a card if the driver reports it; else empty."""
        if self.kind == "cpu":
            return HOST
        with contextlib.suppress(Exception):  # both are extensions that a driver may lack
            device: Any = self.device  # pyopencl's stubs omit extensions
            info = device.pci_bus_info_khr
            return f"pci:{info.pci_domain:04x}:{info.pci_bus:02x}:{info.pci_device:02x}.{info.pci_function:x}"
        with contextlib.suppress(Exception):
            bus, slot = int(self.device.pci_bus_id_nv), int(self.device.pci_slot_id_nv)
            return f"pci:0000:{bus:02x}:{slot >> 3:02x}.{slot & 7:x}"
        return ""


def entries() -> list[DeviceEntry]:
    """Return every device in order.

    Raises
    ------
    UnavailableError
        There is none; the message says which platforms were found.
    """
    if importlib.util.find_spec("pyopencl") is None:
        raise UnavailableError("pyopencl is not installed", "pip install 'ninefold[opencl]'")
    found: list[tuple[int, str, cl.Device]] = []
    for platform, device in _ask():
        kind = _kind(device)
        found.append((("gpu", "npu", "cpu").index(kind), platform, device))
    # A loader lists drivers in the arbitrary order of its folder. Sorting by name keeps the numbers stable.
    found.sort(key=lambda item: item[:2])
    return [DeviceEntry(i, ("gpu", "npu", "cpu")[rank], device) for i, (rank, _, device) in enumerate(found)]


def choose(found: list[DeviceEntry], instance: str) -> DeviceEntry:
    """Return the device with a number or with a unique part of a name; the first for an empty name.

    Raises
    ------
    UnavailableError
        No device has that name; the message lists the devices.
    InputError
        Several devices have that name.
    """
    if not instance:
        return found[0]
    if instance.isdigit():
        matching = [entry for entry in found if entry.index == int(instance)]
    else:
        wanted = instance.lower()
        matching = [entry for entry in found if any(wanted in name.lower() for name in entry.names)]
    if len(matching) == 1:
        return matching[0]
    there = "; ".join(f"opencl:{entry.index} is {entry.description}" for entry in matching or found)
    if matching:
        raise InputError(f"opencl:{instance} names {len(matching)} devices; use a number: {there}")
    raise UnavailableError(f"opencl:{instance} is not an OpenCL device: {there}", "use a number or part of a name")


def _kind(device: "cl.Device") -> str:
    import pyopencl as cl

    if device.type & cl.device_type.GPU:
        return "gpu"
    return "npu" if device.type & cl.device_type.ACCELERATOR else "cpu"


def _ask() -> list[tuple[str, "cl.Device"]]:
    """Return (name of the platform, device) of all devices, listed in a thread to abandon a stuck driver."""
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(_list())
        except Exception as error:  # passed to the caller
            answer.append(error)

    thread = threading.Thread(target=ask, name="opencl-probe", daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    if not answer:
        raise UnavailableError(f"the OpenCL drivers did not answer within {_PATIENCE_S:g} s", "check the drivers")
    if isinstance(answer[0], UnavailableError):
        raise answer[0]
    if isinstance(answer[0], Exception):
        raise UnavailableError(f"pyopencl failed while listing devices: {answer[0]}", INSTALL) from answer[0]
    devices: list[tuple[str, cl.Device]] = answer[0]
    return devices


def _list() -> list[tuple[str, "cl.Device"]]:
    import pyopencl as cl

    _start_loader()
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        if error.code != _NO_PLATFORM:
            raise
        platforms = []
    devices = []
    for platform in platforms:
        with contextlib.suppress(cl.Error):  # a platform without devices raises an error
            devices += [(platform.name, device) for device in platform.get_devices() if device.available]
    if not devices:
        names = ", ".join(platform.name for platform in platforms)
        seen = f"no OpenCL device on {names}" if platforms else "no OpenCL platform: libOpenCL loaded, 0 platforms"
        if VENDORS in os.environ:
            named = f"{VENDORS} is set to {os.environ[VENDORS]!r}, which hides all runtimes that it does not name"
            said = f"{seen}{_broken_runtime()}; {named}"
            raise UnavailableError(said, f"unset {VENDORS}, or set it to a folder of .icd files")
        raise UnavailableError(f"{seen}{_broken_runtime()}", INSTALL)
    return devices


@functools.lru_cache
def _start_loader() -> None:
    """Use OpenCL for the first time in this process, so that the loader searches for drivers."""
    import pyopencl as cl

    with drivers(), contextlib.suppress(cl.Error):
        cl.get_platforms()


def _broken_runtime() -> str:
    """Return the reason that Intel's installed runtime is not among the platforms, or an empty string."""
    library = intel_library()
    if library is None:
        return ""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return f"; Intel's runtime does not load: {error}"
    return f"; Intel's runtime {library} is not among them"
