"""Operators that cores of users implement: ``IMPLEMENTS`` beside ``CORE`` names the operator."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer, State
from ninefold.spec.errors import DeviceError, InputError, UnsupportedError, did_you_mean
from ninefold.spec.operators import OPERATORS, add
from ninefold.spec.registry import entries
from ninefold.spec.runners import Runners
from ninefold.spec.signature import Call, Operator
from ninefold.spec.tensors import Tensor

if TYPE_CHECKING:
    from ninefold.sim.own.contract import Channel, Contract

__all__ = ["CoreRunners", "Implementation", "OpenedCore", "implementation_of"]

#: Entry points of cores in other packages.
_CORES: Final = "ninefold.cores"


class OpenedCore(Protocol):
    """Core on a device, which is called with whole arrays."""

    @property
    def cycles(self) -> int:
        """Clock cycles so far."""

    def __call__(self, **arrays: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        """Send payloads and return the outputs that they cause."""

    def reset(self) -> None:
        """Reset the core."""


class CoreDevice(Protocol):
    """Device that opens cores."""

    path: str

    def core(self, name: str, parameters: Mapping[str, int | str]) -> OpenedCore:
        """Return the core of a name or path, which stays open."""


@dataclass(frozen=True)
class Implementation:
    """Core that runs an operator.

    Attributes
    ----------
    core : str
        Name or path of the core.
    operator : Operator
        The operator.
    run : callable or None
        ``run(core, call)`` of the core's module returns the values of an answer, with an `OpenCore` after a reset; for
        an operator with a state, the arrays of the next state. None to pass arguments and results by their names.
    parameters : callable or None
        ``parameters(call)`` of the core's module returns the parameters of the core for a call. None for the sizes and
        options of the call that have the names of parameters.
    cases : callable or None
        ``cases(generator)`` of the core's module, for conformance.
    """

    core: str
    operator: Operator
    run: Callable[[OpenedCore, Call], Mapping[str, Any]] | None
    parameters: Callable[[Call], Mapping[str, int | str]] | None
    cases: Callable[..., Any] | None

    def answer(self, device: CoreDevice, call: Call) -> Answer:
        """Run a call on the core; raises `UnsupportedError` for a call that the core cannot hold."""
        started = perf_counter()
        core = device.core(self.core, self._parameters(call))
        core.reset()
        before = core.cycles
        values = self._by_name(core, call) if self.run is None else self.run(core, call)
        metrics = {"cycles": core.cycles - before, "seconds": perf_counter() - started}
        path = f"{device.path}, core {self.core}"
        if self.operator.stateful:
            return Answer({}, path, metrics, call.state().next(_arrays(call.state(), values)))
        return Answer(dict(values), path, metrics)

    def _by_name(self, core: OpenedCore, call: Call) -> Mapping[str, Any]:
        from ninefold.sim.own.contract import contract_of

        return _by_name(core, contract_of(self.core, self._parameters(call)), call)

    def _parameters(self, call: Call) -> Mapping[str, int | str]:
        from ninefold.hdl.catalogue import parameters_of

        if self.parameters is not None:
            return self.parameters(call)
        given = {**call.options, **call.sizes}
        return {name: given[name] for name in parameters_of(self.core) if name in given}


class CoreRunners(Runners):
    """Operators of a backend's package, and those that cores of other parties implement.

    An installed core (entry points ``ninefold.cores``), and one that is given by `use`, run the operator of their
    ``IMPLEMENTS`` in place of the package's own module. Two cores of one operator are refused.

    Attributes
    ----------
    implementations : dict of str to Implementation
        Core of each operator that a core implements.
    """

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.implementations: dict[str, Implementation] = {}
        self._unusable: dict[str, str] = {}
        for name in entries(_CORES):
            try:
                self._install(name)
            except Exception as error:  # another party's module may raise anything
                self._unusable[name] = f"{type(error).__name__}: {error}"

    def use(self, core: str) -> Implementation:
        """Have a core run the operator that it implements, from now on; raises as `implementation_of`."""
        found = implementation_of(core)
        if found is None:
            raise InputError(f"{core} implements no operator: define IMPLEMENTS, the name of one, beside CORE")
        self._add(found)
        return found

    def operators(self) -> dict[str, str | None]:
        """Return, for every operator, None or the reason why it is not run."""
        reasons = super().operators()
        broken = "; ".join(f"the core {name} cannot be used: {why}" for name, why in self._unusable.items())
        with_cores = {name: f"{why}; {broken}" if why and broken else why for name, why in reasons.items()}
        return {**with_cores, **{name: None for name in self.implementations if name in OPERATORS}}

    def __call__(self, device: Any, call: Call) -> Answer:
        """Run a call on a device, or raise `UnsupportedError` with the reason."""
        found = self.implementations.get(call.operator.name)
        if found is None or found.operator is not call.operator:
            return super().__call__(device, call)
        return found.answer(device, call)

    def _install(self, name: str) -> None:
        found = implementation_of(name)
        if found is not None:
            self._add(found)

    def _add(self, new: Implementation) -> None:
        old = self.implementations.get(new.operator.name)
        if old is not None and old.operator is new.operator and old.core != new.core:
            raise InputError(f"{new.core} and {old.core} both implement {new.operator.name}: use one of them")
        self.implementations[new.operator.name] = new


def implementation_of(core: str) -> Implementation | None:
    """Return the operator that a core implements, with the functions of its module; None if it implements none.

    ``IMPLEMENTS`` is the name of an operator, or the path of an operator's package, relative to the core's module. The
    operator of a package is added.

    Raises
    ------
    InputError
        There is no such core or operator, or the operator has a state or a database and the core's module does not
        define ``run``.
    """
    from ninefold.hdl.catalogue import find_core

    entry = find_core(core)
    module = importlib.import_module(entry.module)
    named = getattr(module, "IMPLEMENTS", None)
    if named is None:
        return None
    if not isinstance(named, str):
        raise InputError(f"IMPLEMENTS of {core} must be the name of an operator, not {named!r}")
    operator = _operator(core, named, Path(str(module.__file__)).parent)
    run, parameters, cases = (getattr(module, name, None) for name in ("run", "parameters", "cases"))
    if run is None and operator.stateful:
        raise InputError(f"{core} must define run(core, call) to implement {operator.name}, which has a state")
    if run is None and (operator.residents or not all(isinstance(one, Tensor) for one in _declared(operator))):
        raise InputError(
            f"{core} must define run(core, call) to implement {operator.name}, because not all of its arguments and "
            "results are arrays"
        )
    return Implementation(entry.absolute, operator, run, parameters, cases)


def _arrays(state: State, values: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of the next state, with types and shapes of the last one."""
    return {name: np.asarray(values[name], old.dtype).reshape(old.shape) for name, old in state.arrays.items()}


def _declared(operator: Operator) -> tuple[Any, ...]:
    return (*operator.arguments, *operator.results)


def _operator(core: str, named: str, folder: Path) -> Operator:
    package = folder / named
    if named not in OPERATORS and (package / "signature.py").is_file():
        return add(package)
    if named not in OPERATORS:
        raise InputError(
            f"IMPLEMENTS of {core} must be one of {', '.join(OPERATORS)}, or the path of a package with a signature, "
            f"not {named!r}{did_you_mean(named, OPERATORS)}"
        )
    return OPERATORS[named]


def _by_name(core: OpenedCore, contract: Contract, call: Call) -> dict[str, npt.NDArray[Any]]:
    """Send each argument to the input column of its name, and read each result from the output column of its name.

    Axes before the axes of a column are payloads. If the core has packets, the last axis of payloads is one packet.
    """
    _check_names(contract, call.operator)
    arrays: dict[str, Any] = {}
    leads: set[tuple[int, ...]] = set()
    for channel in contract.inputs:
        for column in channel.columns:
            name = contract.argument(channel, column)
            array = np.asarray(call.arguments[name])
            lead = array.shape[: array.ndim - len(column.shape)]
            if array.ndim <= len(column.shape) or array.shape[len(lead) :] != column.shape:
                raise UnsupportedError(f"{contract.name} takes {column}, not {name} of shape {array.shape}")
            leads.add(lead)
            arrays[name] = array.reshape(-1, *column.shape)
    if contract.packets:
        arrays["last"] = _last(contract.name, leads.pop())
    try:
        found = core(**arrays)
    except InputError as error:  # valid for the operator, but not for the core's widths
        raise UnsupportedError(str(error)) from error
    return {result.name: _result(contract.name, found[result.name], result, call) for result in call.operator.results}


def _last(core: str, lead: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    packets, length = int(np.prod(lead[:-1], dtype=int)), lead[-1]
    if packets and not length:
        raise UnsupportedError(f"{core} takes packets of one payload or more, not of none")
    return np.tile(np.arange(length) == length - 1, packets)


def _result(core: str, values: npt.NDArray[Any], result: Any, call: Call) -> npt.NDArray[Any]:
    shape = call.operator.shape_of(result, call)
    if values.size != math.prod(shape):
        raise DeviceError(f"{core} gave {values.size} integers of {result.name}, where {math.prod(shape)} are due")
    return values.reshape(shape).astype(result.dtypes[0])


def _check_names(contract: Contract, operator: Operator) -> None:
    """Raise unless arguments and results of the operator are columns of the core."""

    def names(side: tuple[Channel, ...]) -> list[str]:
        return [contract.argument(channel, column) for channel in side for column in channel.columns]

    takes, gives = names(contract.inputs), names(contract.outputs)
    results = [result.name for result in operator.results]
    if set(takes) != set(operator.argument_names) or not set(results) <= set(gives):
        raise InputError(
            f"{contract.name} takes {', '.join(takes)} and gives {', '.join(gives)}, where {operator.name} takes "
            f"{', '.join(operator.argument_names)} and gives {', '.join(results)}: define run(core, call) beside CORE"
        )
