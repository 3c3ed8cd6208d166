"""Let the OpenCL loader find Intel's runtime from PyPI beside the drivers that the system has.

A loader reads one folder of ``.icd`` files, each naming a driver's library, when a process first uses OpenCL. The wheel
of ``intel-opencl-rt`` cannot know where it is installed, so its own file names no path that exists. `drivers` keeps a
folder in the cache with copies of the system's files and one more that names the library where it lies, and points
``OCL_ICD_VENDORS`` at it meanwhile.
"""

import contextlib
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ninefold.spec.cache import cache_folder, digest_of, unwritable
from ninefold.spec.files import written_aside

__all__ = ["VENDORS", "drivers", "intel_library", "system_files"]

#: Names the folder, or the one file, that the loader reads; a user's own setting is left alone.
VENDORS = "OCL_ICD_VENDORS"
_LIBRARY = "libintelocl.so"


@contextlib.contextmanager
def drivers() -> Iterator[None]:
    """Let a loader that starts inside find the system's drivers and Intel's runtime, where that is installed.

    Several processes may do so at once, since each writes the same content by atomic renames, into a folder named by
    that content. The environment is as before afterwards: neither other loaders nor child processes see the folder.
    """
    folder = _folder()
    if folder is None:
        yield
        return
    # Older Khronos loaders put folder and file name together without a slash.
    os.environ[VENDORS] = f"{folder}{os.sep}"
    try:
        yield
    finally:
        del os.environ[VENDORS]


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


def _folder() -> Path | None:
    """Return the folder, written where it is not yet; None where the loader needs no help, or is not to have it."""
    library, files = intel_library(), system_files()
    known = any(Path(text.strip()).name == _LIBRARY for text in files.values())
    if VENDORS in os.environ or library is None or known:
        return None
    files["ninefold-intel.icd"] = f"{library}\n"
    folder = cache_folder() / "opencl-icd" / digest_of(files)[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _write(folder / name, text)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text() == text:
            return
    with written_aside(path) as aside:
        aside.write_text(text)
