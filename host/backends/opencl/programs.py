"""Build of this folder's kernels for a device, with a cache of binaries."""

import contextlib
import functools
import hashlib
import shutil
import tempfile
import warnings
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ninefold.host.backends.cpu.paths import processor
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.protocols import HOST

if TYPE_CHECKING:
    import pyopencl as cl

    from .platforms import DeviceEntry

__all__ = ["build", "key", "source"]

_BINARY, _CHECK = "program.bin", "program.sha256"


@functools.lru_cache
def source(files: tuple[str, ...]) -> str:
    """Return the concatenated text of kernel files of this folder."""
    folder = resources.files(__package__)
    return "\n".join((folder / name).read_text() for name in files)


def key(entry: "DeviceEntry", text: str, options: tuple[str, ...]) -> str:
    """Return the digest that names a binary: source, options, and all properties of driver and device.

    Machines may share a cache, so the digest of a processor includes its instruction sets, which its name does not
    tell.
    """
    device = entry.device
    driver = (device.platform.name, device.platform.version, device.driver_version, device.version)
    flags = sorted(processor()[1]) if entry.unit == HOST else []
    return digest_of(text, list(options), list(driver), device.name, device.extensions, flags)


def build(entry: "DeviceEntry", context: "cl.Context", text: str, options: tuple[str, ...]) -> "cl.Program":
    """Return the built program, from the cached binary if that is intact.

    A binary is stored with its checksum. One that does not match, or that the driver refuses, is deleted and rebuilt.

    Raises
    ------
    pyopencl.Error
        The source does not build.
    """
    cache, digest = BuildCache("opencl"), key(entry, text, options)
    made: list[cl.Program] = []

    def compile_in(folder: Path) -> None:
        made.append(_compile(context, text, options))
        (binary,) = made[0].binaries
        (folder / _BINARY).write_bytes(binary)
        (folder / _CHECK).write_text(hashlib.sha256(binary).hexdigest())

    folder = cache.get(digest, compile_in)
    program = made[0] if made else _load(entry, context, folder, options)
    if program is None:
        _discard(folder)
        cache.get(digest, compile_in)
        # If another process rebuilt it first, compile from source.
        program = made[0] if made else _compile(context, text, options)
    return program


def _compile(context: "cl.Context", text: str, options: tuple[str, ...]) -> "cl.Program":
    import pyopencl as cl

    # pyopencl would keep its own binary under a weaker key; it is deleted with this folder.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)  # it warns of any compiler output, even "done"
        program = cl.Program(context, text)
        program.build(list(options), cache_dir=folder)
        return program


def _load(entry: "DeviceEntry", context: "cl.Context", folder: Path, options: tuple[str, ...]) -> "cl.Program | None":
    import pyopencl as cl

    with contextlib.suppress(OSError, UnicodeDecodeError, cl.Error), warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)
        binary = (folder / _BINARY).read_bytes()
        if hashlib.sha256(binary).hexdigest() == (folder / _CHECK).read_text():
            program = cl.Program(context, [entry.device], [binary])
            program.build(list(options))
            return program
    return None


def _discard(folder: Path) -> None:
    """Move an entry away in one step, so that no process finds half of it."""
    aside = Path(tempfile.mkdtemp(prefix=".damaged-", dir=folder.parent))
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside / folder.name)
    shutil.rmtree(aside, ignore_errors=True)
