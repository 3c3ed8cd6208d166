"""Paths by which the CPU computes: their requirements and choice."""

import functools
import importlib.util
import logging
import os
from pathlib import Path

from ninefold.spec.compiler import compiler_version
from ninefold.spec.errors import InputError, NinefoldError, UnavailableError
from ninefold.spec.text import shortened

from .engine import Engine
from .kernel import KERNEL_PATHS, Kernel, compiler, kept
from .openvino_products import PackedProducts

__all__ = ["PATHS", "best", "default_threads", "make", "processor", "why_not"]

#: Best first. The last one, the AVX-512 path's algorithm on arrays, is for tests and used only by name.
PATHS = ("avx512", "avx2", "portable", "openvino", "numpy", "emulated")

#: Required processor flags, as named in /proc/cpuinfo.
_FLAGS = {"avx512": ("avx512f", "avx512bw", "avx512_vnni"), "avx2": ("avx2", "f16c")}

_log = logging.getLogger(__name__)


def why_not(path: str) -> tuple[str, str] | None:
    """Return the reason that a path cannot run here and the remedy, or None, without compiling."""
    missing = [flag for flag in _FLAGS.get(path, ()) if flag not in processor()[1]]
    if missing:
        return f"the processor has no {', '.join(missing)}", ""
    if path in KERNEL_PATHS:
        try:
            compiler_version(compiler())
        except UnavailableError as error:
            if kept() is None:
                return error.what, error.install
    if path == "openvino" and importlib.util.find_spec("openvino") is None:
        return "the package openvino is not installed", "pip install 'ninefold[embed]'"
    return None


def make(path: str, threads: int) -> Engine:
    """Return the engine of one path.

    Raises
    ------
    InputError
        Unknown path.
    UnavailableError
        The path cannot run here; the message gives the reason.
    ToolError
        The kernel does not compile.
    """
    if path not in PATHS:
        raise InputError(f"the CPU's path must be one of {', '.join(PATHS)}, not {path!r}")
    if reason := why_not(path):
        raise UnavailableError(f"the CPU's path {path} cannot run: {reason[0]}", reason[1])
    if path in KERNEL_PATHS:
        return Engine(path, kernel=Kernel(path, threads))
    return Engine(path, openvino=PackedProducts(threads)) if path == "openvino" else Engine(path)


def best(threads: int) -> tuple[Engine, str]:
    """Return the engine of the best path that runs here, and the reason that it is not the kernel (empty if it is).

    A kernel that cannot be built is logged as a warning.
    """
    note = ""
    for path in PATHS:
        if why_not(path) is not None or (note and path in KERNEL_PATHS):
            continue
        try:
            return make(path, threads), note or _no_kernel(path)
        except (NinefoldError, ImportError, OSError) as error:
            # The log gets the whole message, such as a compiler's output; results get the line with the error.
            lines = str(error).splitlines() or [type(error).__name__]
            # An `UnavailableError` includes its remedy, so it is not shortened.
            line = next((line for line in lines if "error" in line), lines[0])
            note = f"no {path}: {line if isinstance(error, UnavailableError) else shortened(line)}"
            _log.warning("the CPU's path %s is not used: %s", path, error)
    raise UnavailableError(f"no path of the CPU runs here: {note}")


def default_threads() -> int:
    """Return ``$OMP_NUM_THREADS`` (its first number), else the number of processors of this process."""
    if wanted := os.environ.get("OMP_NUM_THREADS"):
        first = wanted.split(",")[0].strip()
        if not first.isdigit() or int(first) == 0:
            raise InputError(f"OMP_NUM_THREADS must be a number of at least 1, not {wanted!r}")
        return int(first)
    return len(os.sched_getaffinity(0))


@functools.lru_cache
def processor() -> tuple[str, frozenset[str]]:
    """Return the processor's name and flags from /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return "an unknown processor", frozenset()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    found = {name.strip(): value.strip() for name, value in fields.items()}
    return found.get("model name", "an unknown processor"), frozenset(found.get("flags", "").split())


def _no_kernel(path: str) -> str:
    reason = None if path in KERNEL_PATHS else why_not("portable")
    if reason:
        _log.warning("the CPU searches with %s, without the kernel: %s; %s", path, *reason)
    return f"no kernel: {reason[0]}" if reason else ""
