"""External tools: where they are, and how they are run."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ninefold.spec.errors import UnavailableError, tool_failure

__all__ = ["find", "run", "version_of"]


def find(program: str, install: str) -> Path:
    """Return the path of a program: beside the running Python, else on PATH.

    Parameters
    ----------
    program : str
        Name of the program.
    install : str
        What provides it, e.g. ``pip install "ninefold[synth]"``.

    Raises
    ------
    UnavailableError
        It is in neither place.
    """
    # The environment of the running Python need not be activated.
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.is_file() else shutil.which(program)
    if found is None:
        raise UnavailableError(f"{program} is neither beside {Path(sys.executable).name} nor on PATH", install)
    return Path(found)


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
    done = subprocess.run(
        words, cwd=folder, env=variables, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    if done.returncode:
        message = f"`{shlex.join([Path(words[0]).name, *words[1:]])}` failed with exit code {done.returncode}"
        raise tool_failure(message, done.stdout + done.stderr, folder or Path.cwd())
    return done.stdout
