"""A user's core from Python: whole arrays in, whole arrays out, on any device that runs cores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy.typing as npt

from ninefold.spec.errors import InputError, UnavailableError, installs
from ninefold.spec.registry import entries

__all__ = ["GROUP", "OpenCore", "open_core"]

#: Entry points of devices that run cores: ``SCHEME = "MODULE:FUNCTION"``, called with core, device and parameters.
GROUP: Final = "ninefold.core_devices"


class OpenCore(Protocol):
    """Core on a device. It keeps its state from call to call, until `reset`; use it as a context manager.

    A call takes the arrays of the inputs' fields and returns arrays of the outputs' fields, by name. Fields of the same
    name in two streams are named ``STREAM_FIELD``.
    """

    @property
    def inputs(self) -> Mapping[str, str]:
        """Name of each argument of a call, with type and shape of its array."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """Name of each array of the answer, with its type and shape."""

    def __call__(self, **arrays: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        r"""Send payloads and return the outputs that they cause.

        Parameters
        ----------
        **arrays : array-like
            Integers of shape (n, \*shape) for each field of the inputs. For inputs with packets, ``last`` is an
            optional bool array of shape (n,); without it, the payloads are one packet.

        Returns
        -------
        dict of str to array
            Array of each field of the outputs; with packets, also ``last``.

        Raises
        ------
        InputError
            An array is missing, or has another shape or type, or a value out of range.
        DeviceError
            The core took an input or gave an output too late, or the device is lost. A core on ``rtl`` is then reset.
        """

    def reset(self) -> None:
        """Reset the core."""

    def close(self) -> None:
        """Release the device."""

    def __enter__(self) -> Self:
        """Return the core itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""


def open_core(core: str | Path, device: str = "rtl", **parameters: int | str) -> OpenCore:
    """Open a core on a device.

    Parameters
    ----------
    core : str or Path
        Name or path of the core, as commands take it.
    device : str
        ``rtl``: the core's RTL, compiled by Verilator on first use.
    **parameters
        Parameters of the core; those that are missing have their defaults.

    Raises
    ------
    InputError
        There is no such core or device, or a parameter is not allowed.
    UnavailableError
        A tool is not installed; the message says how to install it.
    """
    known = entries(GROUP)
    scheme = device.partition(":")[0]
    if scheme not in known:
        raise InputError(f"device must be one of {', '.join(known) or 'none'}, not {device!r}")
    try:
        opener = known[scheme].load()
    except ModuleNotFoundError as error:
        raise UnavailableError(f"the device {scheme} needs the package {error.name}", installs("rtl")) from error
    opened: OpenCore = opener(str(core), device, parameters)
    return opened
