"""Devices to measure."""

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
    """Return the devices of a backend, or those of them that are named.

    Raises
    ------
    UnavailableError
        There is none, with the first reason.
    """
    entries = made.probe()
    bare = made.name in names
    devices = [e for e in entries if isinstance(e, Found) and (not names or bare or e.device in names)]
    if not devices:
        missing = next((entry for entry in entries if isinstance(entry, Missing)), Missing(made.name, "no device"))
        raise UnavailableError(missing.reason, missing.install)
    return devices


def ready(operator: str) -> tuple[str, ...]:
    """Return the devices for an operator that are there, compute, and may be chosen without being named."""
    names = []
    for name in backend_names():
        made = backend(name)
        if made.operators()[operator] is None:
            names += [e.device for e in made.probe() if isinstance(e, Found) and e.computes and not e.named_only]
    return tuple(names)


@contextlib.contextmanager
def opened(request: Request, default: tuple[str, ...] = ("cpu",)) -> Iterator[dict[str, Device]]:
    """Open the devices that are asked for, by name; the processor's with as many threads as are asked for.

    Parameters
    ----------
    request : Request
        Its devices; a device that it names must be there.
    default : tuple of str
        The devices where it names none; what is not there of them is noted and left out.

    Raises
    ------
    UnavailableError, InputError
        A device that is named is not there.
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
                request.note(f"{name} is left out: {error}")
                continue
            stack.callback(device.close)
            devices[device.name] = device
        yield devices
