"""Writing a bitstream and its manifest where a user wants them."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ninefold.hdl.bitstream.builder import Built

__all__ = ["export"]


def export(built: Built, folder: Path) -> tuple[Path, Path]:
    """Copy a bitstream and write its manifest, ``BOARD/CONFIG`` with their suffixes; each is there whole or not at all.

    Parameters
    ----------
    built : Built
        What to write.
    folder : Path
        Where; it is made.

    Returns
    -------
    tuple of Path
        The bitstream and the manifest.
    """
    stem = folder / built.manifest.name
    stem.parent.mkdir(parents=True, exist_ok=True)
    bitstream, manifest = (stem.with_name(stem.name + suffix) for suffix in (built.bitstream.suffix, ".json"))
    # A manifest never stands beside a bitstream that is not its own.
    manifest.unlink(missing_ok=True)
    _whole(bitstream, lambda path: shutil.copyfile(built.bitstream, path))
    _whole(manifest, lambda path: path.write_text(built.manifest.to_json()))
    return bitstream, manifest


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    try:
        write(Path(aside))
        Path(aside).chmod(0o644)
        Path(aside).rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(aside).unlink()
        raise
