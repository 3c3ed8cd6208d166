"""Copying of value changes from a VCD to a waveform, by compiled code."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.compiler import NAMES, found_compiler, made, named_compiler
from ninefold.spec.errors import ToolError, UnavailableError
from ninefold.spec.programs import run
from ninefold.spec.progress import step

__all__ = ["FstFunctions", "Target", "copy_changes", "load", "prepare"]

_SOURCE = Path(__file__).with_name("copy.cpp")
_INSTALL = "install a C++ compiler, e.g. apt install g++, or set CXX to it"
_OPTIONS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
#: Megabytes after which a call into the library returns, so that Python handles signals (Ctrl-C).
_SLICE_MB = 16
#: Time between two looks for new changes.
_POLL_S = 0.1


class _Signal(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("code", "key", "names")),
        *((name, ctypes.c_uint32) for name in ("handle", "width", "low", "of")),
    )


class _Fst(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in ("context", "time", "change", "name"))


@dataclass(frozen=True)
class Target:
    """Signal to copy.

    Attributes
    ----------
    code : str
        Identifier code of its changes in the source.
    key : str
        Identifier code of its changes in a new VCD.
    handle : int
        Handle in an FST.
    width : int
        Number of bits.
    low : int
        Position of its least significant bit in the value of the code.
    of : int
        Width of the value of the code.
    names : mapping of str to str
        Names of an enumeration by value in binary digits; empty for other signals.
    """

    code: str
    key: str
    handle: int
    width: int
    low: int
    of: int
    names: Mapping[str, str]


@dataclass(frozen=True)
class FstFunctions:
    """Addresses of a GTKWave writer and of the library functions that write changes.

    Attributes
    ----------
    context, time, change, name : int
        The writer, and the functions that write a time, a change of a signal, and a string.
    """

    context: int
    time: int
    change: int
    name: int


def copy_changes(
    raw: Path, offset: int, targets: Sequence[Target], waveform: Path | FstFunctions, ended: threading.Event
) -> None:
    """Copy the value changes of a VCD, which a simulator may still be writing, to a waveform.

    Parameters
    ----------
    raw : Path
        The VCD.
    offset : int
        Number of bytes before the first change.
    targets : sequence of Target
        Signals to copy; all others are omitted.
    waveform : Path or FstFunctions
        Destination: a VCD to append to, or an FST.
    ended : threading.Event
        Set when nothing more will be written to `raw`.

    Raises
    ------
    UnavailableError
        No C++ compiler is installed.
    ToolError
        A file could not be read or written.
    """
    library = load()
    signals = (_Signal * len(targets))()
    for index, one in enumerate(targets):
        names = "".join(f"{digits}={name}\n" for digits, name in one.names.items()).encode() or None
        signals[index] = _Signal(one.code.encode(), one.key.encode(), names, one.handle, one.width, one.low, one.of)
    path = os.fsencode(waveform) if isinstance(waveform, Path) else None
    fst = None
    if isinstance(waveform, FstFunctions):
        fst = ctypes.byref(_Fst(waveform.context, waveform.time, waveform.change, waveform.name))
    copy = library.ninefold_copy_open(os.fsencode(raw), offset, path, fst, signals, len(targets))
    if copy is None:
        raise ToolError(f"{raw} cannot be read, or {waveform} cannot be written")
    whole = False
    slices = 0
    try:
        with step("writing the waveform, in MB", count=lambda: (slices * _SLICE_MB, raw.stat().st_size // 1_000_000)):
            last = False
            while not last:
                # One more pass after the end reads the last lines.
                last = ended.is_set()
                while library.ninefold_copy_some(copy, _SLICE_MB * 1_000_000):
                    slices += 1
                if not last:
                    ended.wait(_POLL_S)
    finally:
        whole = bool(library.ninefold_copy_close(copy))
    if not whole:
        raise ToolError(f"{raw} could not be read to its end, or the waveform could not be written: is the disk full?")


def prepare() -> None:
    """Compile the code that copies changes, if it is not in the cache.

    Raises
    ------
    UnavailableError
        No C++ compiler is installed.
    ToolError
        The compiler failed.
    """
    _built()


def _built() -> Path:
    def build(folder: Path) -> None:
        command = found_compiler()
        if command is None:
            looked = named_compiler() or ", ".join(NAMES)
            raise UnavailableError(f"writing waveforms needs a C++ compiler, and none was found ({looked})", _INSTALL)
        run([*command, *_OPTIONS, _SOURCE, "-o", folder / "copy.so"])
        made(folder / "copy.so", command)

    # A library from any compiler is usable, so the digest does not include the compiler.
    digest = digest_of(_SOURCE.read_text(), _OPTIONS, platform.machine())
    return BuildCache("waveforms").get(digest, build) / "copy.so"


@functools.cache
def load() -> ctypes.CDLL:
    """Return the compiled code, loaded once; raises as `prepare` does."""
    library = ctypes.CDLL(str(_built()))
    handle, number = ctypes.c_void_p, ctypes.c_uint64
    library.ninefold_copy_open.restype = handle
    library.ninefold_copy_open.argtypes = [ctypes.c_char_p, number, ctypes.c_char_p, handle, handle, number]
    library.ninefold_copy_some.restype = ctypes.c_int
    library.ninefold_copy_some.argtypes = [handle, number]
    library.ninefold_copy_close.restype = ctypes.c_int
    library.ninefold_copy_close.argtypes = [handle]
    return library
