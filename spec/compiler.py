"""Search for a C++ compiler by ``CXX`` or PATH, and checks that it works."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
from pathlib import Path

from .errors import ToolError, UnavailableError
from .programs import ended_by, execute

__all__ = ["NAMES", "compiler_version", "found_compiler", "made", "named_compiler"]

#: Programs to look for if ``CXX`` is not set.
NAMES = ("c++", "g++", "clang++")
_VERSION_S = 60.0


def named_compiler() -> str:
    """Return the value of ``CXX``, or an empty string."""
    return os.environ.get("CXX", "").strip()


def found_compiler() -> tuple[str, ...] | None:
    """Return the command of the compiler, with the full path of its program; None if it does not exist.

    Raises
    ------
    UnavailableError
        ``CXX`` is not a valid command line.
    """
    named = named_compiler()
    for candidate in [named] if named else NAMES:
        try:
            words = shlex.split(candidate)
        except ValueError as error:
            raise _unusable(f"is not a valid command line ({error})") from error
        if words and (path := shutil.which(words[0])):
            return (path, *words[1:])
    return None


def compiler_version(command: tuple[str, ...]) -> str:
    """Return a compiler's output for ``--version``; the compiler runs again if its file has changed.

    Raises
    ------
    UnavailableError
        The program does not run, or rejects ``--version``, so it is not a compiler.
    """
    status = Path(command[0]).stat()
    return _version(command, status.st_mtime_ns, status.st_size)


@functools.lru_cache  # exceptions are not cached: the compiler may work later
def _version(command: tuple[str, ...], _mtime_ns: int, _size: int) -> str:
    try:
        ended = execute([*command, "--version"], limit_s=_VERSION_S)
    except ToolError as error:
        raise _unusable(f"is not a working C++ compiler: {error}", command) from error
    if ended.code:
        raise _unusable(
            f"is not a working C++ compiler: `{shlex.join(command)} --version` {ended_by(ended.code)}", command
        )
    return ended.output


def made(output: Path, command: tuple[str, ...]) -> None:
    """Check that a compiler that reported success has written its output.

    Raises
    ------
    UnavailableError
        The output is missing.
    """
    if not output.exists():
        raise _unusable(f"is not a working C++ compiler: it reported no error and did not write {output.name}", command)


def _unusable(how: str, command: tuple[str, ...] = ()) -> UnavailableError:
    if named := named_compiler():
        return UnavailableError(f"CXX is set to {named!r}, which {how}", "set it to a C++ compiler, or unset it")
    return UnavailableError(
        f"{shlex.join(command)} {how}", "install a C++ compiler, e.g. apt install g++, or set CXX to it"
    )
