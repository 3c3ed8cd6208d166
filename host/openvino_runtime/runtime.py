"""Import of OpenVINO, in a way that keeps Intel's OpenCL runtime usable in the same process, and its devices."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

__all__ = ["KINDS", "kind_of", "load", "new_core", "start", "visible"]

#: Kinds of devices, best first.
KINDS: Final = ("GPU", "NPU", "CPU")
_TBB: Final = "libtbb.so.12"


def load(module: str = "openvino") -> Any:
    """Import ``openvino`` or one of its modules; raise `ImportError` if it is not installed.

    Telemetry is disabled. OpenVINO reports its import over the network unless the import of the package
    ``openvino_telemetry`` fails.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    _load_newer_tbb()
    return importlib.import_module(module)


def new_core() -> Any:
    """Return a new core, which searches for devices again, with its CPU plugin loaded.

    The plugin replaces the alternate signal stack of the thread that loads it, and frees the new one together with the
    core, in whichever thread. Python handles SIGINT on this stack, so a later interrupt would end the process. The
    thread therefore gets its own stack back at once.
    """
    with _same_signal_stack():
        core = load().Core()
        with contextlib.suppress(RuntimeError):
            core.get_property("CPU", "FULL_DEVICE_NAME")
    return core


def start() -> tuple[Any, str]:
    """Return a new core and OpenVINO's version."""
    return new_core(), str(load().__version__).partition("-")[0]


def visible(core: Any) -> list[str]:
    """Return the devices of known kinds that a core sees, best kind first."""
    known = (name for name in core.available_devices if kind_of(name) in KINDS)
    return sorted(known, key=lambda name: (KINDS.index(kind_of(name)), name))


def kind_of(device: str) -> str:
    """Return the kind of a device by its name, e.g. ``"GPU"`` of ``"GPU.1"``."""
    return device.partition(".")[0]


class _SignalStack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def _same_signal_stack() -> Iterator[None]:
    """Give this thread the alternate signal stack at the end that it has at the beginning."""
    if sys.platform != "linux":
        yield
        return
    process, before = ctypes.CDLL(None), _SignalStack()
    process.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        process.sigaltstack(ctypes.byref(before), None)


@cache
def _load_newer_tbb() -> None:
    """Load the TBB of Intel's OpenCL runtime if that is installed.

    OpenVINO's wheel contains an older TBB (oneAPI Threading Building Blocks) than Intel's OpenCL runtime needs. A
    process loads only one library of a name, so after OpenVINO's TBB the OpenCL runtime would find no device. OpenVINO
    works with the newer one.
    """
    with contextlib.suppress(PackageNotFoundError, OSError):
        for file in distribution("tbb").files or []:
            if file.name == _TBB:
                ctypes.CDLL(str(Path(str(file.locate())).resolve()))
