"""Registration of Intel's OpenCL runtime from PyPI with the OpenCL loader, in addition to the system's drivers.

When a process first uses OpenCL, the loader reads one folder of ``.icd`` files, each with the path of a driver's
library. The wheel of ``intel-opencl-rt`` cannot know its install location, so the path in its own file does not exist.
`drivers` keeps a folder in the cache with copies of the system's files and another one with the actual path. It sets
``OCL_ICD_VENDORS`` to this folder while the loader starts.
"""

import contextlib
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ninefold.spec.cache import cache_folder, digest_of, unwritable
from ninefold.spec.files import written_aside

__all__ = ["VENDORS", "drivers", "intel_library", "system_files"]

#: Variable with the folder, or the single file, that the loader reads; a user's own setting is not changed.
VENDORS = "OCL_ICD_VENDORS"
_LIBRARY = "libintelocl.so"


@contextlib.contextmanager
def drivers() -> Iterator[None]:
    """Let a loader that starts inside the block find the system's drivers and Intel's runtime, if installed.

    Several processes may do this at once, since each writes the same content by atomic renames into a folder named by
    that content. Afterwards the environment is restored, so other loaders and child processes do not see the folder.
    """
    folder = _folder()
    if folder is None:
        yield
        return
    # Older Khronos loaders join folder and file name without a slash.
    os.environ[VENDORS] = f"{folder}{os.sep}"
    try:
        yield
    finally:
        del os.environ[VENDORS]


def intel_library() -> Path | None:
    """Return the library of Intel's runtime from PyPI, or None if it is not installed."""
    try:
        files = distribution("intel-opencl-rt").files or []
    except PackageNotFoundError:
        return None
    found = (Path(str(f.locate())).resolve() for f in files if f.name == _LIBRARY)
    return next((path for path in found if path.is_file()), None)


def system_files() -> dict[str, str]:
    """Return the system's ``.icd`` files, name -> content; unreadable files are left out."""
    folder = Path(os.environ.get("OPENCL_VENDOR_PATH") or "/etc/OpenCL/vendors")
    files = {}
    for path in sorted(folder.glob("*.icd")):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            files[path.name] = path.read_text()
    return files


def _folder() -> Path | None:
    """Return the folder, written if necessary; None if the loader needs no help or the user has set the variable."""
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
