"""The devices of one backend, for its benchmark."""

from __future__ import annotations

from ninefold.spec.errors import UnavailableError
from ninefold.spec.protocols import Backend, Found, Missing

__all__ = ["found"]


def found(backend: Backend) -> list[Found]:
    """Return the devices of a backend; raise `UnavailableError` with its first reason where there is none."""
    entries = backend.probe()
    devices = [entry for entry in entries if isinstance(entry, Found)]
    if not devices:
        missing = next((entry for entry in entries if isinstance(entry, Missing)), Missing(backend.name, "no device"))
        raise UnavailableError(missing.reason, missing.install)
    return devices
