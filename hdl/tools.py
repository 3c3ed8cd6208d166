"""External tools: where they are, and how they are run."""

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

#: What installs the tools of synthesis, placement and routing.
INSTALL: Final = installs("synth")
#: The same for Gowin's devices.
INSTALL_GOWIN: Final = installs("gowin")
#: Yosys' synthesis for each family of devices: bitstreams, estimates and netlists to compare are made alike.
SYNTHESIS: Final[Mapping[str, str]] = MappingProxyType(
    {"ecp5": "synth_ecp5 -abc9", "gowin": "synth_gowin -family gw1n", "ice40": "synth_ice40 -device u"}
)

_START: Final = """#!/bin/sh
YOWASP_CACHE_DIR=$(dirname "$0") exec {program} "$@"
"""

#: How nextpnr's analytic placer weighs time, four times the default: what is late after placement stays late.
PLACER: Final = ("--placer-heap-timingweight", "40")


def version_of(package: str, install: str) -> str:
    """Return the version of an installed package.

    Raises
    ------
    UnavailableError
        It is not installed; the message names `install`.
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
        raise ToolError(
            f"{tool} ended without a failure, and {file.name} is {'empty' if file.is_file() else 'missing'}"
        )


def ready(name: str, install: str) -> Path:
    """Return a YoWASP tool that is compiled.

    The tools are WebAssembly, which compiles itself at its first use, and two first uses at once may fail. What comes
    of it is kept in our cache, with a script that starts the tool with it.

    Raises
    ------
    UnavailableError
        The tool is not installed; the message names `install`.
    """
    program = find(name, install)
    state = program.stat()

    def compile_itself(folder: Path) -> None:
        script = folder / name
        script.write_text(_START.format(program=shlex.quote(str(program))))
        script.chmod(0o755)
        # Some know no --version and fail, but only after they are compiled.
        with step(f"compiling {name} (once)"), contextlib.suppress(ToolError):
            run([script, "--version"], folder)

    digest = digest_of(_START, str(program), state.st_mtime_ns, state.st_size)
    return BuildCache("tools").get(digest, compile_itself) / name
