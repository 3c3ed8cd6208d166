"""Run tasks: check them, choose the device, and do what an operator leaves to the host around it."""

from __future__ import annotations

import importlib
import pkgutil
from types import TracebackType
from typing import Self

from ninefold.host import around
from ninefold.host.around import Around
from ninefold.spec.data import Answer, Result, Task
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device
from ninefold.spec.registry import backend, backend_names
from ninefold.spec.signature import Call

__all__ = ["AUTO", "Session", "run"]

#: The device name that leaves the choice open.
AUTO = "auto"
_DEFAULT = "cpu"
_HOST = "host"


class Session:
    """Devices that stay open, and keep what was loaded on them, from one task to the next.

    A context manager; `close` closes every device.
    """

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}

    def device(self, name: str) -> Device:
        """Return the device of that name, opened once.

        Parameters
        ----------
        name : str
            ``backend[:instance]``; a bare name means its first device.

        Raises
        ------
        InputError
            When no installed package offers the backend.
        UnavailableError
            When the device is not there.
        """
        if name not in self._devices:
            family, _, instance = name.partition(":")
            self._devices[name] = backend(family).open(instance)
        return self._devices[name]

    def run(self, task: Task) -> Result:
        """Run one task to its end.

        Parameters
        ----------
        task : Task
            Operator, arguments and options as `Operator.bind` takes them; ``device`` None or ``"auto"`` means the CPU.

        Returns
        -------
        Result
            The values by result name, with who was asked, who answered and why.

        Raises
        ------
        InputError
            For an unknown operator or backend, and for arguments that the operator refuses.
        UnsupportedError, UnavailableError, DeviceError
            When the device does not run the operator, is not there, or failed.
        """
        if task.operator not in OPERATORS:
            raise InputError(f"operator must be one of {', '.join(OPERATORS)}, not {task.operator!r}")
        call = OPERATORS[task.operator].bind(task.arguments, task.options)
        asked_for = task.device or AUTO
        name, why = (_DEFAULT, "the default") if asked_for == AUTO else (asked_for, "asked for by name")
        if name.partition(":")[0] not in backend_names():
            raise InputError(f"device must be {AUTO} or one of {', '.join(backend_names())}, not {asked_for!r}")
        used: list[Device] = []

        def on_device(inner: Call) -> Answer:
            used.append(self.device(name))
            return used[-1].run(inner)

        answer = _around(task.operator)(call, on_device)
        if not used:
            why = "there is nothing to compute"
        answered_by = used[-1].name if used else _HOST
        return Result(answer.values, answer.path, answer.metrics, answer.state, asked_for, answered_by, why)

    def close(self) -> None:
        """Close every device that was opened."""
        while self._devices:
            self._devices.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run(task: Task) -> Result:
    """Run one task on a device that is opened for it; see `Session.run`."""
    with Session() as session:
        return session.run(task)


def _around(operator: str) -> Around:
    """Return what the host does around an operator: its module in `ninefold.host.around`, or nothing."""
    if operator in {info.name for info in pkgutil.iter_modules(around.__path__)}:
        module = importlib.import_module(f"{around.__name__}.{operator}")
        found: Around = module.run
        return found
    return lambda call, on_device: on_device(call)
