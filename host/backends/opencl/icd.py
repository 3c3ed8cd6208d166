"""Let the OpenCL loader find Intel's runtime from PyPI beside the drivers that the system has.

A loader reads one folder of ``.icd`` files, each naming a driver's library. The wheel of ``intel-opencl-rt`` cannot
know where it is installed, so its own file names no path that exists. `prepare` keeps a folder in the cache with copies
of the system's files and one more that names the library where it lies, and points ``OCL_ICD_VENDORS`` at it.
"""

import contextlib
import os
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ninefold.spec.cache import cache_folder, digest_of

__all__ = ["VENDORS", "intel_library", "prepare", "system_files"]

#: Names the folder, or the one file, that the loader reads; a user's own setting is left alone.
VENDORS = "OCL_ICD_VENDORS"
_LIBRARY = "libintelocl.so"


def prepare() -> None:
    """Point the loader at a folder that holds the system's drivers and Intel's runtime, where that is installed.

    To be called before OpenCL is first used: a loader reads the folder once a process. Several processes may do so at
    once, since each writes the same content by atomic renames, into a folder named by that content.
    """
    ours = cache_folder() / "opencl-icd"
    if VENDORS in os.environ and Path(os.environ[VENDORS]).parent != ours:
        return
    library, files = intel_library(), system_files()
    if library is None or any(Path(text.strip()).name == _LIBRARY for text in files.values()):
        return
    # No name of the system's ends up overwritten: the prefix makes this one ours.
    files["ninefold-intel.icd"] = f"{library}\n"
    folder = ours / digest_of(files)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        _write(folder / name, text)
    # Older Khronos loaders put folder and file name together without a slash.
    os.environ[VENDORS] = f"{folder}{os.sep}"


def intel_library() -> Path | None:
    """Return where PyPI's Intel runtime has its library, or None when it is not installed."""
    try:
        files = distribution("intel-opencl-rt").files or []
    except PackageNotFoundError:
        return None
    found = (Path(str(f.locate())).resolve() for f in files if f.name == _LIBRARY)
    return next((path for path in found if path.is_file()), None)


def system_files() -> dict[str, str]:
    """Return the system's ``.icd`` files, name -> content; those that cannot be read are left out."""
    folder = Path(os.environ.get("OPENCL_VENDOR_PATH") or "/etc/OpenCL/vendors")
    files = {}
    for path in sorted(folder.glob("*.icd")):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            files[path.name] = path.read_text()
    return files


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text() == text:
            return
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
