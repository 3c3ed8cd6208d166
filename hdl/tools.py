"""Search for external tools, and their execution."""

import contextlib
import shlex
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import ToolError, installs, not_installed
from ninefold.spec.programs import find, run, together
from ninefold.spec.progress import step

__all__ = [
    "INSTALL",
    "INSTALL_GOWIN",
    "PLACER",
    "SYNTHESIS",
    "find",
    "ready",
    "require",
    "run",
    "together",
    "version_of",
]

#: Command that installs the tools of synthesis, placement and routing.
INSTALL: Final = installs("synth")
#: Command that installs the tools for Gowin's devices.
INSTALL_GOWIN: Final = installs("gowin")
#: Synthesis command of Yosys for each device family, common to bitstreams, estimates and compared netlists.
SYNTHESIS: Final[Mapping[str, str]] = MappingProxyType(
    {"ecp5": "synth_ecp5 -abc9", "gowin": "synth_gowin -family gw1n", "ice40": "synth_ice40 -device u"}
)

_START: Final = """#!/bin/sh
YOWASP_CACHE_DIR=$(dirname "$0") exec {program} "$@"
"""

#: Timing weight of nextpnr's analytic placer, four times the default, because routing cannot repair late paths.
PLACER: Final = ("--placer-heap-timingweight", "40")


def version_of(package: str, install: str) -> str:
    """Return the version of an installed package.

    Raises
    ------
    UnavailableError
        The package is not installed; the message contains `install`.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        raise not_installed(f"the package {package}", install) from None


def require(file: Path, tool: str) -> None:
    """Raise an error unless a tool wrote a file.

    Raises
    ------
    ToolError
        The file is missing or empty.
    """
    if not file.is_file() or not file.stat().st_size:
        raise ToolError(f"{tool} reported no failure, but {file.name} is {'empty' if file.is_file() else 'missing'}")


def ready(name: str, install: str) -> Path:
    """Return the path of a compiled YoWASP tool.

    The tools are WebAssembly programs that are compiled on first use; two first uses at once may fail. The compiled
    code is stored in the build cache, with a script that runs the tool with it.

    Raises
    ------
    UnavailableError
        The tool is not installed; the message contains `install`.
    """
    program = find(name, install)
    state = program.stat()

    def compile_itself(folder: Path) -> None:
        script = folder / name
        script.write_text(_START.format(program=shlex.quote(str(program))))
        script.chmod(0o755)
        # Some tools reject --version, but only after they are compiled.
        with step(f"compiling {name} (once)"), contextlib.suppress(ToolError):
            run([script, "--version"], folder)

    digest = digest_of(_START, str(program), state.st_mtime_ns, state.st_size)
    return BuildCache("tools").get(digest, compile_itself) / name
