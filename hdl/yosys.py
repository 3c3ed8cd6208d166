"""Yosys from PyPI's package pyosys: native code, run in a separate process.

``python -m ninefold.hdl.yosys`` accepts the options of ``yosys`` that this project and SymbiYosys use. A proof runs it
three times, so the module imports little at start; functions import the rest.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

__all__ = ["PACKAGE", "abc", "command", "main", "run", "share", "version"]

#: Package whose version represents Yosys in digests and manifests.
PACKAGE: Final = "pyosys"
_USAGE: Final = "usage: python -m ninefold.hdl.yosys [-q] [-l LOG] (-p COMMANDS | SCRIPT)"


def version() -> str:
    """Return the version of pyosys, which is the version of Yosys.

    Raises
    ------
    UnavailableError
        pyosys is not installed; the message says how to install it.
    """
    from ninefold.hdl.tools import version_of
    from ninefold.spec.errors import installs

    return version_of(PACKAGE, installs("hdl"))


def command() -> list[str]:
    """Return the command line that replaces the program ``yosys``.

    Raises
    ------
    UnavailableError
        pyosys is not installed; the message says how to install it.
    """
    version()
    return [sys.executable, "-m", "ninefold.hdl.yosys"]


def run(script: str, folder: Path) -> None:
    """Run commands of Yosys, separated by semicolons or line ends.

    Parameters
    ----------
    script : str
        The commands.
    folder : Path
        Working folder, to which paths are relative.

    Raises
    ------
    UnavailableError
        pyosys is not installed.
    ToolError
        A command failed; the message contains the end of the output.
    """
    from ninefold.hdl import tools

    tools.run([*command(), "-q", "-p", script], folder, work="yosys")


def abc(commands: str, folder: Path) -> None:
    """Run commands of ABC, which is part of the package, separated by semicolons.

    Raises
    ------
    UnavailableError
        pyosys is not installed.
    ToolError
        ABC failed.
    """
    from ninefold.hdl import tools

    tools.run([_folder() / "yosys-abc", "-q", commands], folder)


def share() -> Path:
    """Return the folder of Yosys' own sources, such as simulation models of cells.

    Raises
    ------
    UnavailableError
        pyosys is not installed.
    """
    return _folder() / "share"


def _folder() -> Path:
    from ninefold.spec.errors import installs, not_installed

    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise not_installed(f"the package {PACKAGE}", installs("hdl"))
    return Path(package.origin).parent


def main(arguments: Sequence[str]) -> None:
    """Run Yosys as ``yosys -q -p COMMANDS`` or ``yosys -ql LOG SCRIPT`` would.

    Like Yosys, the process exits with 1 after wrong arguments or a failure.
    """
    quiet, log, commands, script = False, "", "", ""
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word in ("-h", "--help"):
            sys.stdout.write(f"{_USAGE}\n")
            return
        if word in ("-q", "-ql"):
            quiet = True
        if word in ("-l", "-ql") and waiting:
            log = waiting.pop(0)
        elif word == "-p" and waiting:
            commands = waiting.pop(0)
        elif word != "-q" and not word.startswith("-") and not script:
            script = word
        elif word != "-q":
            sys.exit(_USAGE)
    if bool(commands) == bool(script):
        sys.exit(_USAGE)

    # The library writes its log to standard output.
    if log or quiet:
        try:
            target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            _refuse(f"the log {log} cannot be written: {error.strerror}")
        os.dup2(target, 1)
    try:
        from pyosys import libyosys
    except ImportError as error:
        from ninefold.spec.errors import installs

        _refuse(f"the package {PACKAGE} cannot be loaded ({error}); {installs('hdl')}")

    design = libyosys.Design()
    for line in commands.splitlines() or [f"script {script}"]:
        design.run_pass(line)
    libyosys.log_flush()


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
