"""The C++ kernel: the ``.cpp`` files of this folder, compiled together once for each compiler and called by ctypes.

A file ``OPERATOR.cpp`` beside ``OPERATOR.py`` is compiled for each path and once for its interface; see ``kernel.h``.
Other ``.cpp`` files are compiled once.
"""

import ctypes
import functools
import platform
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.compiler import NAMES, compiler_version, found_compiler, made, named_compiler
from ninefold.spec.errors import DeviceError, ToolError, UnavailableError
from ninefold.spec.programs import ended_by, execute
from ninefold.spec.progress import step
from ninefold.spec.text import tail

__all__ = ["KERNEL_PATHS", "Kernel", "build", "compile_shared", "compiler", "kept"]

#: Paths of the kernel -> (number in its C interface, products of nits in one call of well under a second). Of each path
#: ``path_PATH.h`` defines the instructions.
KERNEL_PATHS = {
    "portable": (0, 1 << 29),
    "emulated": (1, 1 << 27),
    "avx2": (2, 1 << 33),
    "avx512": (3, 1 << 33),
}

#: Products are rounded before they are added, on every processor, because results must not depend on it.
_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-w")
_BUILD_SECONDS = 300
#: Paths that only processors of the x86-64 architecture have.
_X86 = ("avx2", "avx512")
#: Compilation of an operator for a path.
_UNIT = """{vectors}#define NINEFOLD_PATH {path}
#include "path_{path}.h"
#include "{operator}.cpp"
#ifdef __clang__
{end}#endif
"""
_END = "#pragma clang attribute pop\n"
#: Only code with vector primitives needs the compiler's intrinsics, which take half a second to read.
_PRIMITIVES, _VECTORS = b'#include "products.h"', "#define NINEFOLD_VECTORS\n"
#: Kind of the cache entries for a library by any compiler, used if there is no compiler.
_ANY = "compiled"


def compiler() -> tuple[str, ...]:
    """Return the command of the C++ compiler: ``$CXX``, else c++, g++ or clang++.

    Raises
    ------
    UnavailableError
        There is no compiler.
    """
    if (command := found_compiler()) is not None:
        return command
    named = named_compiler()
    what = f"$CXX is {named}, which was not found" if named else f"no C++ compiler ({', '.join(NAMES)}) was found"
    raise UnavailableError(what, "install one, e.g. apt install g++, or set CXX to it")


def build() -> Path:
    """Return the shared library from the cache; compile it if it is missing.

    Its key consists of sources, compiler version and flags. Without a working compiler, a cached library by any other
    compiler is used.

    Raises
    ------
    UnavailableError
        There is neither a compiler nor a library.
    ToolError
        The compiler fails; the message contains the end of its output.
    """
    files = _sources()
    parts = [_FLAGS, *(part for name in sorted(files) for part in (name, files[name]))]
    try:
        command = compiler()
        version = compiler_version(command)
    except UnavailableError:
        if (library := kept()) is not None:
            return library
        raise

    def compile_in(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        sources = sorted(name for name in files if name.endswith(".cpp"))
        with step("compiling the CPU kernel (once)"):
            compile_shared(command, _FLAGS, sources, "kernel.so", folder)

    entry = BuildCache("cpu-kernel").get(digest_of(version, *parts), compile_in)
    BuildCache(_ANY).alias(_name(), entry)
    return entry / "kernel.so"


def kept() -> Path | None:
    """Return the cached library by any compiler, or None if there is none."""
    entry = BuildCache(_ANY).find(_name())
    return entry / "kernel.so" if entry is not None else None


def _name() -> str:
    files = _sources()
    return digest_of("cpu-kernel", platform.machine(), _FLAGS, [[name, files[name].hex()] for name in sorted(files)])


def compile_shared(
    command: tuple[str, ...], flags: Sequence[str], sources: Sequence[str], output: str, folder: Path
) -> None:
    """Compile sources in a folder into a shared library there.

    Raises
    ------
    UnavailableError
        The command is not a compiler.
    ToolError
        The compiler failed; the message contains the end of its output.
    InterruptError
        An interrupt ended the compiler.
    """
    # File names relative to the folder, so that the compiler need not handle its path.
    words = [*command, *flags, "-o", output, *sources]
    ended = execute(words, folder, work=Path(command[0]).name, limit_s=_BUILD_SECONDS)
    if ended.code:
        how = f"exited {ended.code}" if ended.code > 0 else ended_by(ended.code)
        raise ToolError(f"{' '.join(words)} {how}:\n{tail(ended.complaints or ended.output)}")
    made(folder / output, command)


class Kernel:
    """Compiled code of the operators, on one path.

    Parameters
    ----------
    path : str
        One of `KERNEL_PATHS`, which the processor must support.
    threads : int
        Maximum number of threads of a call.

    Attributes
    ----------
    path : str
        The path.
    products : int
        Number of products of nits in a call that takes well under a second, so that interrupts are handled.

    Raises
    ------
    UnavailableError, ToolError
        As in `build`.
    """

    def __init__(self, path: str, threads: int) -> None:
        self.path = path
        number, self.products = KERNEL_PATHS[path]
        self._number, self._threads = ctypes.c_int64(number), ctypes.c_int64(threads)
        self._library = _load(build())

    def __call__(self, operator: str, *arguments: npt.NDArray[Any] | float | None) -> None:
        """Call the interface of an operator's code.

        Parameters
        ----------
        operator : str
            Name of the operator.
        *arguments : array, int, float or None
            Arguments after path and threads: C-contiguous arrays are passed as pointers, and None as a null pointer.

        Raises
        ------
        DeviceError
            There is no memory.
        """
        passed: list[Any] = [self._number, self._threads]
        # In one loop, without `ndarray.ctypes`: small calls pay for each function.
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                if not argument.flags.c_contiguous:
                    raise ValueError(f"an array of shape {argument.shape} for the kernel must be C-contiguous")
                if argument.flags.writeable and argument.size:
                    # A fifth of the time of `__array_interface__`, which makes a dictionary.
                    passed.append(ctypes.byref(ctypes.c_char.from_buffer(argument)))  # type: ignore[arg-type]
                else:
                    passed.append(ctypes.c_void_p(argument.__array_interface__["data"][0]))
            elif argument is None:
                passed.append(ctypes.c_void_p())
            else:
                passed.append(ctypes.c_double(argument) if isinstance(argument, float) else ctypes.c_int64(argument))
        if getattr(self._library, f"ninefold_{operator}")(*passed):
            raise DeviceError(f"the kernel's {self.path} path has no memory for this call of {operator}")


@functools.lru_cache
def _sources() -> dict[str, bytes]:
    folder = resources.files(__package__)
    files = {f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith((".cpp", ".h"))}
    names = [name.removesuffix(".cpp") for name in files if name.endswith(".cpp")]
    for operator in [name for name in names if (folder / f"{name}.py").is_file()]:
        vectors = _VECTORS if _PRIMITIVES in files[f"{operator}.cpp"] else ""
        for path in KERNEL_PATHS:
            text = _UNIT.format(vectors=vectors, path=path, operator=operator, end=_END if path in _X86 else "")
            text = f"#ifdef __x86_64__\n{text}#endif\n" if path in _X86 else text
            files[f"{operator}_{path}.cpp"] = text.encode()
    return files


@functools.lru_cache
def _load(library: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(library))
