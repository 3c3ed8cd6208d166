"""The C++ compiler: what ``CXX`` or PATH name, and that it works."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
from pathlib import Path

from .errors import ToolError, UnavailableError
from .programs import ended_by, execute

__all__ = ["NAMES", "compiler_version", "found_compiler", "made", "named_compiler"]

#: Programs that are looked for when ``CXX`` names none.
NAMES = ("c++", "g++", "clang++")
_VERSION_S = 60.0


def named_compiler() -> str:
    """Return what ``CXX`` is set to; an empty text if nothing."""
    return os.environ.get("CXX", "").strip()


def found_compiler() -> tuple[str, ...] | None:
    """Return the command of the compiler, its program with a whole path; None where it is not there.

    Raises
    ------
    UnavailableError
        ``CXX`` is no command line.
    """
    named = named_compiler()
    for candidate in [named] if named else NAMES:
        try:
            words = shlex.split(candidate)
        except ValueError as error:
            raise _unusable(f"is no command line ({error})") from error
        if words and (path := shutil.which(words[0])):
            return (path, *words[1:])
    return None


def compiler_version(command: tuple[str, ...]) -> str:
    """Return what a compiler says for ``--version``; one that was replaced is asked again.

    Raises
    ------
    UnavailableError
        It does not run, or knows no version: it is no compiler.
    """
    status = Path(command[0]).stat()
    return _version(command, status.st_mtime_ns, status.st_size)


@functools.lru_cache  # which keeps no failure: it may work later
def _version(command: tuple[str, ...], _mtime_ns: int, _size: int) -> str:
    try:
        ended = execute([*command, "--version"], limit_s=_VERSION_S)
    except ToolError as error:
        raise _unusable(f"is no working C++ compiler: {error}", command) from error
    if ended.code:
        raise _unusable(
            f"is no working C++ compiler: `{shlex.join(command)} --version` {ended_by(ended.code)}", command
        )
    return ended.output


def made(output: Path, command: tuple[str, ...]) -> None:
    """See that a compiler that says it succeeded has written its output.

    Raises
    ------
    UnavailableError
        It has not.
    """
    if not output.exists():
        raise _unusable(f"is no working C++ compiler: it ended without an error and wrote no {output.name}", command)


def _unusable(how: str, command: tuple[str, ...] = ()) -> UnavailableError:
    if named := named_compiler():
        return UnavailableError(f"CXX is set to {named!r}, which {how}", "set it to a C++ compiler, or unset it")
    return UnavailableError(
        f"{shlex.join(command)} {how}", "install a C++ compiler, e.g. apt install g++, or set CXX to it"
    )
