"""Output of a bitstream and its manifest to a folder."""

import shutil
from pathlib import Path

from ninefold.hdl.bitstream.builder import Built
from ninefold.spec.files import written_aside

__all__ = ["export"]


def export(built: Built, folder: Path) -> tuple[Path, Path]:
    """Copy a bitstream and write its manifest, each atomically, as ``BOARD/CONFIG`` with their suffixes.

    Parameters
    ----------
    built : Built
        Bitstream to write.
    folder : Path
        Target folder, created if it is missing.

    Returns
    -------
    tuple of Path
        Files of the bitstream and the manifest.
    """
    stem = folder / built.manifest.name
    stem.parent.mkdir(parents=True, exist_ok=True)
    bitstream, manifest = (stem.with_name(stem.name + suffix) for suffix in (built.bitstream.suffix, ".json"))
    # Prevents a manifest beside the bitstream of another build.
    manifest.unlink(missing_ok=True)
    with written_aside(bitstream) as aside:
        shutil.copyfile(built.bitstream, aside)
    with written_aside(manifest) as aside:
        aside.write_text(built.manifest.to_json())
    return bitstream, manifest
