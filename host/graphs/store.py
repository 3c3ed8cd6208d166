"""Compiled graphs kept on disk, for devices whose compilers take long."""

import hashlib
import io
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ninefold.spec.cache import BuildCache, digest_of

__all__ = ["stored"]

_BLOB, _DIGEST = "graph", "graph.sha256"


def stored(core: Any, device: str, settings: Mapping[str, Any], parts: list[str], make: Callable[[], Any]) -> Any:
    """Return a compiled graph from the build cache; compile it, and keep it there, where it is not or is damaged.

    Parameters
    ----------
    core : openvino.Core
        Loads it.
    device : str
        For which device.
    settings : mapping
        How it is compiled.
    parts : list of str
        What decides on the graph, its weights' digest included; versions and the device's name are added.
    make : callable
        ``make() -> openvino.CompiledModel`` compiles it.
    """
    versions = sorted(f"{plugin}: {found.build_number}" for plugin, found in core.get_versions(device).items())
    named = core.get_property(device, "FULL_DEVICE_NAME")
    digest = digest_of("graph 1", device, named, versions, {k: str(v) for k, v in settings.items()}, *parts)
    made: list[Any] = []

    def build(folder: Path) -> None:
        made.append(make())
        blob = _bytes(made[0].export_model())
        (folder / _BLOB).write_bytes(blob)
        (folder / _DIGEST).write_text(hashlib.sha256(blob).hexdigest())

    cache = BuildCache("openvino")
    entry = cache.get(digest, build)
    if made:
        return made[0]
    try:
        blob = (entry / _BLOB).read_bytes()
        if hashlib.sha256(blob).hexdigest() == (entry / _DIGEST).read_text():
            return core.import_model(io.BytesIO(blob), device, dict(settings))
    except (OSError, RuntimeError):
        pass  # not whole, or written under another driver
    shutil.rmtree(entry, ignore_errors=True)
    cache.get(digest, build)
    return made[0] if made else make()


def _bytes(blob: Any) -> bytes:
    return blob if isinstance(blob, bytes) else bytes(blob.getbuffer())
