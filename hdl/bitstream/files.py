"""Writing a bitstream and its manifest where a user wants them."""

import shutil
from pathlib import Path

from ninefold.hdl.bitstream.builder import Built
from ninefold.spec.files import written_aside

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
    with written_aside(bitstream) as aside:
        shutil.copyfile(built.bitstream, aside)
    with written_aside(manifest) as aside:
        aside.write_text(built.manifest.to_json())
    return bitstream, manifest
