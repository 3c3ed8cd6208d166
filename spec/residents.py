"""Residents of an open device, in the forms that the backend's operators need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .data import Answer, Database, Kept, State
from .errors import DeviceError, InputError, UnsupportedError
from .operators import OPERATORS
from .protocols import Device, StateKeeper
from .runners import Runners
from .signature import Call, Operator, Resident

__all__ = ["LoadedResidents", "load_and_run", "state_after"]

#: Function ``load(device, resident)`` of an operator's module: the resident in the form that the operator needs.
Load = Callable[[Any, Any], Any]


#: Function ``fetch(device, form)`` beside ``load``: copies of all arrays of a state from the form that steps change.
Fetch = Callable[[Any, Any], Mapping[str, Any]]


@dataclass
class _Held:
    """A resident's version (0 for a database), its attributes and its forms.

    Of a state that steps change in place, `kept` makes the arrays of the current version.
    """

    version: int
    attributes: Mapping[str, int | float | str]
    forms: dict[Load | None, Any] = field(default_factory=dict)
    kept: tuple[Load, Fetch] | None = None


class LoadedResidents:
    """Residents loaded on one device.

    The module of an operator may define ``load(device, resident)``, which returns its resident in the form that the
    device computes with; `form` returns that later. For other operators the device makes one form of all residents from
    their declared fields.

    The step of such an operator may change its form in place and answer with `Kept`. Its module then also defines
    ``fetch(device, form)``, which copies all arrays of the state from the form. Operators that take the same states use
    the same ``load``, or get their form from such a copy. A step that raises any error but `InputError` or
    `UnsupportedError`, which come before it changes anything, leaves no state on the device.

    Parameters
    ----------
    device : Device
        The device.
    runners : Runners
        The operators of its backend.
    copy : callable, optional
        ``copy(resident)`` returns the form for operators without ``load``; by default None, for devices that compute
        with the arrays of the call.
    free : callable, optional
        ``free(form)`` frees a form of an unloaded resident; None is not freed.
    """

    def __init__(
        self,
        device: Device,
        runners: Runners,
        copy: Callable[[Database | State], Any] = lambda _: None,
        free: Callable[[Any], None] = lambda _: None,
    ) -> None:
        self._device = device
        self._runners = runners
        self._copy = copy
        self._free = free
        self._held: dict[str, _Held] = {}

    def load(self, resident: Database | State) -> None:
        """Make the forms of a resident for all operators that take it, unless it is loaded.

        Raises
        ------
        InputError
            The resident does not fit the declaration of any operator of the backend.
        UnsupportedError
            The backend runs no operator that takes such residents, or the device is too small.
        """
        key, version = _key(resident)
        if key in self._held and self._held[key].version == version:
            return
        loads = self._loads(resident)
        self.unload(key)
        made = _Held(version, resident.attributes)
        try:
            for load in loads:
                made.forms[load] = self._made(load, resident)
        except BaseException:
            self._drop(made)
            raise
        self._held[key] = made

    def unload(self, key: str) -> None:
        """Free the resident with this digest or id, if it is loaded."""
        if key in self._held:
            self._drop(self._held.pop(key))

    def clear(self) -> None:
        """Free all residents."""
        for key in list(self._held):
            self.unload(key)

    def form(self, resident: Database | State, load: Load | None = None) -> Any:
        """Return what `load` made of a loaded resident; without it, what the device made.

        Raises
        ------
        DeviceError
            The resident is not loaded.
        """
        held = self._require(resident)
        if load not in held.forms:  # a step has changed another form, or the operator was added after the loading
            held.forms[load] = self._made(load, self.fetch(_key(resident)[0]) if held.kept else resident)
        return held.forms[load]

    def fetch(self, key: str) -> State:
        """Return a copy of the state with this id, which a step has left on the device.

        Raises
        ------
        DeviceError
            The device keeps no such state.
        """
        held = self._held.get(key)
        if held is None or held.kept is None:
            raise DeviceError(f"{self._device.name} keeps no state {key}")
        load, fetch = held.kept
        return State(key, held.version, fetch(self._device, held.forms[load]), held.attributes)

    def run(self, call: Call) -> Answer:
        """Run a call whose residents are loaded, and load the state that a step returns.

        Raises
        ------
        DeviceError
            A resident is not loaded.
        """
        if self._runners.module(call.operator) is not None:
            for name in call.operator.residents:
                self._require(call.arguments[name])
        try:
            answer = self._runners(self._device, call)
        except (InputError, UnsupportedError):  # refused before anything ran
            raise
        except BaseException:
            if call.operator.stateful:  # the step may have changed a part of its form
                self.unload(call.state().id)
            raise
        if isinstance(answer.state, State):
            try:
                self.load(answer.state)
            except InputError as error:  # the operator's fault, not the caller's
                raise DeviceError(f"{self._device.name} returned a wrong state: {error}") from error
        elif answer.state is not None:  # the operator has changed its form of the state
            self._keep(call.operator, answer.state)
        return answer

    def _keep(self, operator: Operator, state: Kept) -> None:
        """Note that a step has changed its form of a state, and drop the forms of the version before."""
        held = self._held[state.id]
        if held.kept is None or len(held.forms) > 1:
            module = self._runners.module(operator)
            try:
                held.kept = (module.load, module.fetch)  # type: ignore[union-attr]
            except AttributeError as error:
                text = f"{operator.name} keeps its state on {self._device.name} and must have {error.name}"
                raise DeviceError(text) from error
            stale = {load: held.forms.pop(load) for load in list(held.forms) if load is not held.kept[0]}
            self._drop(_Held(held.version, {}, stale))
        held.version = state.version

    def _require(self, resident: Database | State) -> _Held:
        key, version = _key(resident)
        held = self._held.get(key)
        if held is None or held.version != version:
            named = f"database {key[:12]}" if isinstance(resident, Database) else f"version {version} of state {key}"
            raise DeviceError(f"{named} is not loaded on {self._device.name}")
        return held

    def _loads(self, resident: Database | State) -> list[Load | None]:
        """Return the functions ``load`` of all operators that take a resident, None for those without."""
        kind = "database" if isinstance(resident, Database) else "state"
        found: dict[Load | None, None] = {}
        refusals: dict[str, InputError] = {}
        alike: set[str] = set()
        for operator in OPERATORS.values():
            layouts = [a.layout for a in operator.arguments if isinstance(a, Resident) and a.kind == kind]
            module = self._runners.module(operator) if layouts else None
            for layout in layouts if module is not None else ():
                try:
                    layout.sizes_of(resident)
                except InputError as error:
                    refusals[operator.name] = error
                    if layout.names_arrays_of(resident):
                        alike.add(operator.name)
                else:
                    found[getattr(module, "load", None)] = None
        if found:
            return list(found)
        # A layout with the resident's arrays is the one meant; how it differs from the others says nothing.
        refusals = {name: error for name, error in refusals.items() if name in alike or not alike}
        if len({str(error) for error in refusals.values()}) == 1:
            raise next(iter(refusals.values()))
        if refusals:
            reasons = "; ".join(f"{name}: {error}" for name, error in refusals.items())
            raise InputError(f"the {kind} fits no operator of {self._device.name}: {reasons}")
        raise UnsupportedError(f"{self._device.name} runs no operator that takes a {kind}")

    def _made(self, load: Load | None, resident: Database | State) -> Any:
        return self._copy(resident) if load is None else load(self._device, resident)

    def _drop(self, held: _Held) -> None:
        for form in held.forms.values():
            if form is not None:
                self._free(form)


def load_and_run(device: Device, call: Call) -> Answer:
    """Load the residents of a call on a device and run it, where no scheduler does so."""
    for name in call.operator.residents:
        device.load(call.arguments[name])
    return device.run(call)


def state_after(device: Device, call: Call) -> State:
    """Make a step on a device, where no scheduler does so, and return the next version, copied if the device keeps it.

    Raises
    ------
    DeviceError
        The device returned no state, or kept it and has no method `fetch`.
    """
    state = load_and_run(device, call).state
    if isinstance(state, State):
        return state
    if state is None or not isinstance(device, StateKeeper):
        raise DeviceError(f"{device.name} returned no state after {call.operator.name}")
    return device.fetch(state.id)


def _key(resident: Database | State) -> tuple[str, int]:
    return (resident.digest, 0) if isinstance(resident, Database) else (resident.id, resident.version)
