"""Import of OpenVINO in a way that keeps Intel's OpenCL runtime usable in the same process."""

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
    """Import ``openvino`` or one of its modules; raise `ImportError` if it is not installed.

    Telemetry is disabled. OpenVINO reports its import over the network unless the import of the package
    ``openvino_telemetry`` fails.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    _load_newer_tbb()
    return importlib.import_module(module)


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
