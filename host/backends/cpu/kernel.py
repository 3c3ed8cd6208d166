"""The C++ kernel, compiled once for each compiler, stored in the build cache, and called through ctypes."""

import ctypes
import functools
import platform
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ninefold.numerics.ranked import Ranked, empty
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.compiler import NAMES, compiler_version, found_compiler, made, named_compiler
from ninefold.spec.errors import DeviceError, ToolError, UnavailableError
from ninefold.spec.programs import ended_by, execute
from ninefold.spec.progress import step
from ninefold.spec.text import tail

from .engines import blocks

__all__ = ["KERNEL_PATHS", "KernelEngine", "build", "compile_shared", "compiler", "kept"]

#: Paths of the kernel -> (number in its C interface, products of nits in one call of well under a second).
KERNEL_PATHS = {
    "portable": (0, 1 << 29),
    "emulated": (1, 1 << 27),
    "avx2": (2, 1 << 33),
    "avx512": (3, 1 << 33),
}

#: Queries searched together: their lists are small, and their nits stay in the second-level cache.
_QUERIES = 256
#: Queries are padded to whole vectors of this many bytes (kPadding in kernel.h).
_PADDING = 64
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-w")
_BUILD_SECONDS = 300
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


class KernelEngine:
    """Engine that searches with the C++ kernel.

    Parameters
    ----------
    path : str
        One of `KERNEL_PATHS`, which the processor must support.
    threads : int
        Maximum number of threads of a call.

    Raises
    ------
    UnavailableError, ToolError
        As in `build`.
    """

    def __init__(self, path: str, threads: int) -> None:
        self.path = path
        self._number, self._products = KERNEL_PATHS[path]
        self._threads = threads
        self._mine = _load(build()).ninefold_mine

    def mine(self, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Ranked:
        """See `Engine.mine`."""
        ids, scores = empty(len(nits), k, np.int32)
        packed = np.ascontiguousarray(packed)
        for part in blocks(len(nits), _QUERIES):
            self._mine_together(nits[part], packed, ids[part], scores[part])
        return ids, scores

    def _mine_together(
        self,
        nits: npt.NDArray[np.int8],
        packed: npt.NDArray[np.uint8],
        ids: npt.NDArray[np.int64],
        scores: npt.NDArray[np.int32],
    ) -> None:
        (queries, dimensions), (rows, width) = nits.shape, packed.shape
        padded = -(-width // _PADDING) * _PADDING
        even, odd = np.zeros((queries, padded), np.int8), np.zeros((queries, padded), np.int8)
        even[:, :width], odd[:, : dimensions // 2] = nits[:, 0::2], nits[:, 1::2]
        offsets = -8 * nits.sum(axis=1, dtype=np.int32)
        count = np.zeros(queries, np.int32)
        step = max(1, self._products // (queries * dimensions))
        for part in blocks(rows, step):
            failed = self._mine(
                self._number,
                packed.ctypes.data + part.start * width,
                part.stop - part.start,
                width,
                part.start,
                even.ctypes.data,
                odd.ctypes.data,
                padded,
                offsets.ctypes.data,
                queries,
                ids.shape[1],
                self._threads,
                ids.ctypes.data,
                scores.ctypes.data,
                count.ctypes.data,
            )
            if failed:
                raise DeviceError(f"the kernel's {self.path} path has no memory for {queries} lists of {ids.shape[1]}")


@functools.lru_cache
def _sources() -> dict[str, bytes]:
    folder = resources.files(__package__)
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith((".cpp", ".h"))}


@functools.lru_cache
def _load(library: Path) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(library))
    pointer, wide, narrow = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    loaded.ninefold_mine.restype = narrow
    loaded.ninefold_mine.argtypes = [
        *(narrow, pointer, wide, wide, wide, pointer, pointer, wide, pointer),
        *(narrow, narrow, narrow, pointer, pointer, pointer),
    ]
    return loaded
