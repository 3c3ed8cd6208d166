"""Selection and opening of the devices to measure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ninefold.host.backends.cpu import Cpu
from ninefold.spec.benchmark import Request
from ninefold.spec.errors import UnavailableError
from ninefold.spec.protocols import Backend, Device, Found, Missing
from ninefold.spec.registry import backend, backend_names

__all__ = ["found", "opened", "ready"]


def found(made: Backend, names: tuple[str, ...] = ()) -> list[Found]:
    """Return the devices of a backend, or only the named ones.

    Raises
    ------
    UnavailableError
        There is no such device; the error states the first reason.
    """
    entries = made.probe()
    bare = made.name in names
    devices = [e for e in entries if isinstance(e, Found) and (not names or bare or e.device in names)]
    if not devices:
        missing = next((entry for entry in entries if isinstance(entry, Missing)), Missing(made.name, "no device"))
        raise UnavailableError(missing.reason, missing.install)
    return devices


def ready(operator: str) -> tuple[str, ...]:
    """Return the available devices that compute an operator and may be chosen without being named."""
    names = []
    for name in backend_names():
        made = backend(name)
        if made.operators()[operator] is None:
            names += [e.device for e in made.probe() if isinstance(e, Found) and e.computes and not e.named_only]
    return tuple(names)


@contextlib.contextmanager
def opened(request: Request, default: tuple[str, ...] = ("cpu",)) -> Iterator[dict[str, Device]]:
    """Open the requested devices; the CPU backend with the requested number of threads.

    Parameters
    ----------
    request : Request
        Request; a device that it names must be available.
    default : tuple of str
        Devices to open if the request names none; unavailable ones are skipped with a note.

    Raises
    ------
    UnavailableError, InputError
        A named device is unavailable.
    """
    with contextlib.ExitStack() as stack:
        devices: dict[str, Device] = {}
        for name in request.devices or default:
            kind, _, instance = name.partition(":")
            made = Cpu(threads=request.threads) if kind == "cpu" else backend(kind)
            try:
                device = made.open(instance)
            except UnavailableError as error:
                if request.devices:
                    raise
                request.note(f"{name} is skipped: {error}")
                continue
            stack.callback(device.close)
            devices[device.name] = device
        yield devices
