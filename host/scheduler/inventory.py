"""Probing of backends: available devices, and the reason for each missing device."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ninefold.spec import registry
from ninefold.spec.errors import InputError
from ninefold.spec.protocols import Backend, Found, Missing

from .guard import start_thread, text_of

__all__ = ["PROBE_S", "Inventory", "Probed"]

#: Time limit of a probe in seconds.
PROBE_S: Final = 10.0


@dataclass(frozen=True)
class Probed:
    """Result of one probe of a backend.

    Attributes
    ----------
    backend : Backend or None
        Backend, or None if it could not be imported.
    operators : mapping of str to str or None
        Operator -> None, or the reason that it is not run.
    found : sequence of Found
        Available devices.
    missing : sequence of Missing
        Missing devices with reasons.
    """

    backend: Backend | None
    operators: Mapping[str, str | None]
    found: Sequence[Found]
    missing: Sequence[Missing]


class Inventory:
    """Prober of backends, each in its own thread, so that none can delay the others. Thread-safe.

    Parameters
    ----------
    backends : mapping of str to Backend, optional
        Backends by name; by default the installed ones (entry points).
    probe_s : float
        Time limit of a probe in seconds.
    """

    def __init__(self, backends: Mapping[str, Backend] | None = None, probe_s: float = PROBE_S) -> None:
        #: Names of all backends, even without devices.
        self.names = tuple(registry.backend_names() if backends is None else backends)
        self._given = backends
        self._probe_s = probe_s
        self._lock = threading.Lock()
        self._made: dict[str, Backend] = {}
        self._probes: dict[str, threading.Thread] = {}
        self._last: dict[str, Probed] = {}

    @property
    def hung(self) -> int:
        """Number of probes that were given up and have not returned."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._probes.values())

    def check(self, device: str) -> str:
        """Return the backend part of a device's name; raise `InputError` if there is no such backend."""
        family, colon, instance = device.partition(":")
        if family not in self.names or (colon and not instance):
            allowed = ", ".join(self.names)
            # A URL or the name of a configuration means a board.
            hint = f"; did you mean 'board:{device}'?" if "/" in device and "board" in self.names else ""
            raise InputError(f"device must be auto or one of {allowed}, alone or with :INSTANCE, not {device!r}{hint}")
        return family

    def probed(self, family: str) -> Probed | None:
        """Return the result of the last probe of a backend, or None before the first."""
        return self._last.get(family)

    def probe(self, families: Iterable[str] | None = None, *, again: bool = False) -> dict[str, Probed]:
        """Probe backends in parallel and return their results.

        Parameters
        ----------
        families : iterable of str, optional
            Names of backends; all by default.
        again : bool
            Repeat earlier probes.

        Raises
        ------
        DeviceError
            The system does not allow a thread for a probe.
        """
        wanted = list(self.names if families is None else families)
        results: dict[str, Probed] = {}
        started: dict[str, threading.Thread] = {}
        for family in wanted:
            if not again and family in self._last:
                continue
            with self._lock:
                running = self._probes.get(family)
                if running is not None and running.is_alive():
                    started[family] = running  # another caller's probe, or a hung one
                    continue
                thread = start_thread(partial(self._look, family), f"ninefold probe {family}")
                self._probes[family] = started[family] = thread
        for family, thread in started.items():
            thread.join(self._probe_s)
            if thread.is_alive():
                reason = f"the probe of {family} has not returned for {self._probe_s:g} s"
                self._last[family] = Probed(None, {}, (), (Missing(family, reason, "check its driver"),))
        for family in wanted:
            results[family] = self._last[family]
        return results

    def _look(self, family: str) -> None:
        me = threading.current_thread()
        try:
            backend = self._backend(family)
            seen = backend.probe()
            found = tuple(entry for entry in seen if isinstance(entry, Found))
            missing = tuple(entry for entry in seen if isinstance(entry, Missing))
            probed = Probed(backend, registry.operators_of(backend), found, missing)
        except BaseException as error:  # a third party's backend may raise anything
            reason = f"its probe failed: {type(error).__name__}: {text_of(error)}"
            probed = Probed(None, {}, (), (Missing(family, reason, "fix or remove the package that provides it"),))
        with self._lock:
            # The result of a probe that was given up and overtaken by a later one is out of date.
            if self._probes.get(family) is me:
                self._last[family] = probed

    def _backend(self, family: str) -> Backend:
        if self._given is not None:
            return self._given[family]
        if family not in self._made:
            self._made[family] = registry.backend(family)
        return self._made[family]
