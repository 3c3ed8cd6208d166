"""A user's core from Python: whole arrays in, whole arrays out, on any device that runs cores."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

import numpy.typing as npt

from ninefold.spec.errors import DeviceError, InputError, UnavailableError, installs
from ninefold.spec.registry import backend, entries

__all__ = ["GROUP", "CoreFuture", "DeviceCore", "OpenCore", "implement", "open_core"]

Arrays = dict[str, npt.NDArray[Any]]
_Value = TypeVar("_Value")
#: Entry points of devices that run cores: ``BACKEND = "MODULE:FUNCTION"``. The function takes core, device and
#: parameters, and returns a `DeviceCore`.
GROUP: Final = "ninefold.core_devices"


class DeviceCore(Protocol):
    """Core on a device, used by one thread at a time; `OpenCore` describes the methods."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Name of each argument of a call, with type and shape of its array."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """Name of each array of the answer, with its type and shape."""

    def __call__(self, **arrays: npt.ArrayLike) -> Arrays:
        """Send payloads and return the outputs that they cause."""

    def read(self, register: str) -> int:
        """Return the value of a register."""

    def write(self, register: str, value: int) -> None:
        """Write a control register."""

    def reset(self) -> None:
        """Reset the core."""

    def close(self) -> None:
        """Release the device."""


class CoreFuture(concurrent.futures.Future[Arrays]):
    """Future answer of a core: a `concurrent.futures.Future` that can also be awaited."""

    def __await__(self) -> Generator[Any, None, Arrays]:
        return asyncio.wrap_future(self).__await__()


class OpenCore:
    """Core on a device. It keeps its state from call to call, until `reset`; use it as a context manager.

    A call takes the arrays of the inputs' fields and returns arrays of the outputs' fields, by name. Fields of the same
    name in two streams are named ``STREAM_FIELD``. Calls of all threads run one after the other, in their order.

    Parameters
    ----------
    core : DeviceCore
        The core.
    """

    def __init__(self, core: DeviceCore) -> None:
        self._core = core
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "ninefold-core")

    @property
    def inputs(self) -> Mapping[str, str]:
        """Name of each argument of a call, with type and shape of its array."""
        return self._core.inputs

    @property
    def outputs(self) -> Mapping[str, str]:
        """Name of each array of the answer, with its type and shape."""
        return self._core.outputs

    def __call__(self, **arrays: npt.ArrayLike) -> Arrays:
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
            The core took an input or gave an output too late, or the device is lost or closed. A core on ``rtl`` is
            then reset.
        """
        return self.submit(**arrays).result()

    def submit(self, **arrays: npt.ArrayLike) -> CoreFuture:
        """Queue a call and return its future answer, which may be awaited; see `__call__`.

        The arrays must not be changed before the answer is there.
        """
        future = CoreFuture()
        self._queue(lambda: self._answer(future, arrays))
        return future

    def read(self, register: str) -> int:
        """Return the value of a register, after the calls that were submitted before; raises as `write`."""
        return self._queue(lambda: self._core.read(register)).result()

    def write(self, register: str, value: int) -> None:
        """Write a control register, after the calls that were submitted before.

        Raises
        ------
        InputError
            The core has no such register, it cannot be written, or the value does not fit.
        UnsupportedError
            The device has no registers: they need a board.
        """
        self._queue(lambda: self._core.write(register, value)).result()

    def reset(self) -> None:
        """Reset the core, after the calls that were submitted before."""
        self._queue(self._core.reset).result()

    def close(self) -> None:
        """Wait for the calls that were submitted, and release the device."""
        self._worker.shutdown()
        self._core.close()

    def __enter__(self) -> Self:
        """Return the core itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _queue(self, work: Callable[[], _Value]) -> concurrent.futures.Future[_Value]:
        try:
            return self._worker.submit(work)
        except RuntimeError as error:  # after a shutdown
            raise DeviceError("the core is closed") from error

    def _answer(self, future: CoreFuture, arrays: Mapping[str, npt.ArrayLike]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._core(**arrays))
        except Exception as error:
            future.set_exception(error)


def open_core(core: str | Path, device: str = "rtl", **parameters: int | str) -> OpenCore:
    """Open a core on a device.

    Parameters
    ----------
    core : str or Path
        Name or path of the core, as commands take it.
    device : str
        ``rtl``: the core's RTL, compiled by Verilator on first use. ``board:virtual``: a whole board around the core,
        simulated in this process. ``board:URL``: a board at a URL, as ``board:serial:///dev/ttyUSB1``.
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
    return OpenCore(opener(str(core), device, parameters))


def implement(core: str | Path, device: str = "rtl") -> str:
    """Have a core run the operator that its module's ``IMPLEMENTS`` names.

    Schedulers that are opened afterwards send calls of the operator to it. Installed cores need no call for ``rtl``.

    Parameters
    ----------
    core : str or Path
        Name or path of the core.
    device : str
        ``rtl``, or the board that holds the core: ``board:URL``, or ``board:virtual`` to simulate one. The device of a
        simulated board is named ``board:virtual/CORE``, and is used by name only.

    Returns
    -------
    str
        Name of the operator.

    Raises
    ------
    InputError
        There is no such core, device or operator, the core implements none, or another core implements it already.
    UnavailableError
        A tool is not installed; the message says how to install it.
    """
    scheme, _, place = device.partition(":")
    known = [name for name in entries(GROUP) if name != "board"]
    if scheme not in (*known, "board") or bool(place) != (scheme == "board"):
        raise InputError(f"device must be one of {', '.join(known)} or board:PLACE, not {device!r}")
    try:
        runs: Any = backend(scheme)
    except ModuleNotFoundError as error:
        raise UnavailableError(f"the backend {scheme} needs the package {error.name}", installs("rtl")) from error
    found = runs.implement(str(core), place).runs if place else runs.implement(str(core))
    name: str = found.operator.name
    return name
