"""The C++ kernel: compiled once for each compiler, kept in the build cache, called through ctypes."""

import ctypes
import functools
import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ninefold.host.selection import empty
from ninefold.spec import times
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import DeviceError, ToolError, UnavailableError
from ninefold.spec.progress import step

from .engines import Hits, blocks

__all__ = ["KERNEL_PATHS", "KernelEngine", "build", "compiler"]

#: Paths of the kernel -> (number in its C interface, products of nits in one call, which takes well under a second).
KERNEL_PATHS = {
    "portable": (0, 1 << 29),
    "emulated": (1, 1 << 27),
    "avx2": (2, 1 << 33),
    "avx512": (3, 1 << 33),
}

#: Queries that are searched together: their lists are small, and their nits stay in the second-level cache.
_QUERIES = 256
#: Queries are padded to whole vectors of this many bytes (kPadding in kernel.h).
_PADDING = 64
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-w")
_BUILD_SECONDS = 300


def compiler() -> str:
    """Return the path of the C++ compiler: ``$CXX``, else c++, g++ or clang++.

    Raises
    ------
    UnavailableError
        When there is none.
    """
    return _compiler(os.environ.get("CXX"), os.environ.get("PATH"))


@functools.lru_cache  # which keeps no failure: one may be installed meanwhile
def _compiler(wanted: str | None, path: str | None) -> str:
    for name in [wanted] if wanted else ["c++", "g++", "clang++"]:
        if found := shutil.which(name, path=path):
            return found
    what = f"$CXX names {wanted}, which was not found" if wanted else "no C++ compiler (c++, g++, clang++) was found"
    raise UnavailableError(what, "install one, e.g. apt install g++, or set CXX to it")


def build() -> Path:
    """Return the shared library, compiling it unless the cache has it.

    The cache names it by the sources, the compiler's version and the flags.

    Raises
    ------
    UnavailableError
        When there is no compiler.
    ToolError
        When it fails, with the end of its output.
    """
    tool = compiler()
    status = Path(tool).stat()
    version = _version(tool, status.st_mtime_ns, status.st_size)
    files = _sources()
    digest = digest_of(version, _FLAGS, *(part for name in sorted(files) for part in (name, files[name])))

    def compile_in(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        sources = sorted(str(folder / name) for name in files if name.endswith(".cpp"))
        with step("compiling the CPU kernel (once)"), times.children(Path(tool).name):
            _call([tool, *_FLAGS, "-o", str(folder / "kernel.so"), *sources])

    return BuildCache("cpu-kernel").get(digest, compile_in) / "kernel.so"


class KernelEngine:
    """Searches with the C++ kernel.

    Parameters
    ----------
    path : str
        One of `KERNEL_PATHS`; the processor must have what it needs.
    threads : int
        Most threads that a call uses.

    Raises
    ------
    UnavailableError, ToolError
        As `build`.
    """

    def __init__(self, path: str, threads: int) -> None:
        self.path = path
        self._number, self._products = KERNEL_PATHS[path]
        self._threads = threads
        self._mine = _load(build()).ninefold_mine

    def mine(self, nits: npt.NDArray[np.int8], packed: npt.NDArray[np.uint8], k: int) -> Hits:
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
                raise DeviceError(
                    f"the kernel's {self.path} path found no memory for {queries} lists of {ids.shape[1]}"
                )


@functools.lru_cache
def _sources() -> dict[str, bytes]:
    folder = resources.files(__package__)
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith((".cpp", ".h"))}


@functools.lru_cache
def _version(tool: str, _mtime_ns: int, _size: int) -> str:
    """Ask the compiler for its version; a compiler that was replaced is asked again."""
    return _call([tool, "--version"])


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


def _call(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_BUILD_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{' '.join(command)} failed: {error}") from error
    if done.returncode:
        raise ToolError(f"{' '.join(command)} exited {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
