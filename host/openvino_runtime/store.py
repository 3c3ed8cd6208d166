"""Cache of compiled graphs on disk. Graphs of the sentence model load in 0.1 s and compile in 0.3 s to minutes."""

import hashlib
import io
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ninefold.host.digests import remembered_sha256
from ninefold.spec.cache import BuildCache, digest_of
from ninefold.spec.errors import UnavailableError

from .runtime import load

__all__ = ["stored"]

_LOG = logging.getLogger("ninefold.openvino")
_BLOB, _DIGEST = "graph", "graph.sha256"
#: Mapped files of this process's graphs; a graph does not keep its own file mapped.
_mapped: list[Any] = []


def stored(core: Any, device: str, settings: Mapping[str, Any], parts: list[str], make: Callable[[], Any]) -> Any:
    """Return a compiled graph from the build cache; compile and store it if it is missing or damaged.

    If the cache is not writable, the graph is compiled each time, with a warning in the log.

    Parameters
    ----------
    core : openvino.Core
        Core that loads the graph.
    device : str
        OpenVINO's name of the device.
    settings : mapping
        Properties to compile with.
    parts : list of str
        Cache key of the graph, including the digest of its weights; versions and the device's name are added.
    make : callable
        ``make() -> openvino.CompiledModel``, which compiles the graph.
    """
    versions = sorted(f"{plugin}: {found.build_number}" for plugin, found in core.get_versions(device).items())
    named = core.get_property(device, "FULL_DEVICE_NAME")
    able = sorted(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    digest = digest_of("graph 2", device, named, able, versions, {k: str(v) for k, v in settings.items()}, *parts)
    made: list[Any] = []

    def build(folder: Path) -> None:
        made.append(make())
        blob = _bytes(made[0].export_model())
        (folder / _BLOB).write_bytes(blob)
        (folder / _DIGEST).write_text(hashlib.sha256(blob).hexdigest())

    cache = BuildCache("openvino")
    try:
        entry = cache.get(digest, build)
        if made:
            return made[0]
        try:
            if remembered_sha256(entry / _BLOB) == (entry / _DIGEST).read_text():
                return _loaded(core, entry / _BLOB, device, settings)
        except (OSError, RuntimeError):
            pass  # incomplete, or written by another driver version
        shutil.rmtree(entry, ignore_errors=True)
        cache.get(digest, build)
    except (OSError, UnavailableError) as error:
        _LOG.warning("a compiled graph was not saved", extra={"device": device, "reason": str(error)})
    return made[0] if made else make()


def _loaded(core: Any, blob: Path, device: str, settings: Mapping[str, Any]) -> Any:
    if device != "CPU":
        return core.import_model(io.BytesIO(blob.read_bytes()), device, dict(settings))
    # Mapped, so that weights unused by a search are not read; OpenVINO accepts only writable arrays.
    content = np.memmap(blob, np.uint8, "c")
    _mapped.append(content)
    return core.import_model(load().Tensor(content, shared_memory=True), device, dict(settings))


def _bytes(blob: Any) -> bytes:
    return blob if isinstance(blob, bytes) else bytes(blob.getbuffer())
