"""Build the kernels of this folder for a device, and keep the binaries."""

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

    from .platforms import Entry

__all__ = ["build", "key", "source"]

_BINARY, _CHECK = "program.bin", "program.sha256"


@functools.lru_cache
def source(files: tuple[str, ...]) -> str:
    """Return the text of kernel files of this folder, one after the other."""
    folder = resources.files(__package__)
    return "\n".join((folder / name).read_text() for name in files)


def key(entry: "Entry", text: str, options: tuple[str, ...]) -> str:
    """Return the digest that names a binary: source, options, and all that is known of driver and device.

    Machines may share a cache: of a processor the instruction sets count too, for its name does not tell them.
    """
    device = entry.device
    driver = (device.platform.name, device.platform.version, device.driver_version, device.version)
    flags = sorted(processor()[1]) if entry.unit == HOST else []
    return digest_of(text, list(options), list(driver), device.name, device.extensions, flags)


def build(entry: "Entry", context: "cl.Context", text: str, options: tuple[str, ...]) -> "cl.Program":
    """Return the built program, from the cache's binary where that is sound.

    A binary carries its checksum; one that does not match, or that the driver refuses, is thrown away and built again.

    Raises
    ------
    pyopencl.Error
        When the source does not build.
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
        # Where another process was first to build it again, the source is still at hand.
        program = made[0] if made else _compile(context, text, options)
    return program


def _compile(context: "cl.Context", text: str, options: tuple[str, ...]) -> "cl.Program":
    import pyopencl as cl

    # pyopencl would keep a binary of its own, keyed by less; it goes with this folder.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)  # any word of a compiler, "done" included
        program = cl.Program(context, text)
        program.build(list(options), cache_dir=folder)
        return program


def _load(entry: "Entry", context: "cl.Context", folder: Path, options: tuple[str, ...]) -> "cl.Program | None":
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
    """Move an entry out of the way in one step, so that nobody finds half of it."""
    aside = Path(tempfile.mkdtemp(prefix=".damaged-", dir=folder.parent))
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside / folder.name)
    shutil.rmtree(aside, ignore_errors=True)
