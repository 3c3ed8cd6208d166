"""Import OpenVINO so that Intel's OpenCL runtime still works in the same process."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

__all__ = ["load"]

_TBB: Final = "libtbb.so.12"


def load(module: str = "openvino") -> Any:
    """Import ``openvino`` or a module in it; raise `ImportError` where it is not installed.

    Its telemetry is left out: OpenVINO would report the import to its makers over the network, and does without where
    the package ``openvino_telemetry`` cannot be imported.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    _load_newer_tbb()
    return importlib.import_module(module)


@cache
def _load_newer_tbb() -> None:
    """Load the TBB of Intel's OpenCL runtime, where that is installed.

    OpenVINO's wheel brings an older TBB (oneAPI Threading Building Blocks) than Intel's OpenCL runtime needs, and a
    process loads one library of a name: after OpenVINO, that runtime would find no device. OpenVINO works with the
    newer one.
    """
    with contextlib.suppress(PackageNotFoundError, OSError):
        for file in distribution("tbb").files or []:
            if file.name == _TBB:
                ctypes.CDLL(str(Path(str(file.locate())).resolve()))
