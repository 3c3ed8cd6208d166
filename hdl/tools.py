"""External tools: where they are, and how they are run."""

import contextlib
import fcntl
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from ninefold.spec.cache import cache_folder
from ninefold.spec.errors import ToolError, UnavailableError, tool_failure
from ninefold.spec.programs import find

__all__ = ["INSTALL", "PLACER", "SYNTHESIS", "find", "ready", "run", "together", "version_of"]

#: What installs the tools of synthesis, placement and routing.
INSTALL: Final = 'pip install "ninefold[synth]"'
#: Yosys' synthesis for each family of devices: bitstreams, estimates and netlists to compare are made alike.
SYNTHESIS: Final[Mapping[str, str]] = MappingProxyType(
    {"ecp5": "synth_ecp5 -abc9", "gowin": "synth_gowin -family gw1n", "ice40": "synth_ice40 -device u"}
)

#: How nextpnr's analytic placer weighs time, four times the default: what is late after placement stays late.
PLACER: Final = ("--placer-heap-timingweight", "40")

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
_running: set[subprocess.Popen[str]] = set()


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
        raise UnavailableError(f"the package {package} is not installed", install) from None


def run(command: Sequence[str | Path], folder: Path | None = None, **environment: str) -> str:
    """Run a tool to its end, and return its standard output.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    folder : Path, optional
        Where it runs.
    **environment : str
        Variables beside those of this process.

    Raises
    ------
    ToolError
        It failed; the message carries the command and the end of its output.
    """
    words = [str(word) for word in command]
    variables = {**os.environ, **environment}
    with subprocess.Popen(
        words,
        cwd=folder,
        env=variables,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        _running.add(process)
        try:
            output, complaints = process.communicate()
        except BaseException:
            process.kill()
            raise
        finally:
            _running.discard(process)
    if process.returncode:
        message = f"`{shlex.join([Path(words[0]).name, *words[1:]])}` failed with exit code {process.returncode}"
        raise tool_failure(message, output + complaints, folder or Path.cwd())
    return output


def ready(name: str, install: str) -> Path:
    """Find a YoWASP tool and let it compile itself, which it does at its first use: two first uses at once may fail."""
    program = find(name, install)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Some know no --version and fail, but only after they are compiled.
        with contextlib.suppress(ToolError):
            run([program, "--version"], folder)
    return program


def together(job: Callable[[_Item], _Made], items: Iterable[_Item], at_once: int) -> list[_Made]:
    """Do a job that runs tools for each item, some at once, and return what each made, in the order of the items.

    When one fails or the user interrupts, tools that still run are ended.
    """
    with ThreadPoolExecutor(at_once) as pool:
        try:
            futures = [pool.submit(job, item) for item in items]
            # The first failure, not the first item, ends the waiting.
            for done in wait(futures, return_when=FIRST_EXCEPTION).done:
                done.result()
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(_running):
                process.kill()
            raise
