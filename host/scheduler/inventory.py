"""Which devices there are, and for each one that is not there the reason in words."""

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

#: Seconds after which a probe that has not returned is given up.
PROBE_S: Final = 10.0


@dataclass(frozen=True)
class Probed:
    """What one probe of a backend gave.

    Attributes
    ----------
    backend : Backend or None
        The backend, or None where it could not be imported.
    operators : mapping of str to str or None
        Operator -> None, or why it is not run.
    found : sequence of Found
    missing : sequence of Missing
    """

    backend: Backend | None
    operators: Mapping[str, str | None]
    found: Sequence[Found]
    missing: Sequence[Missing]


class Inventory:
    """Probes backends, each in a thread of its own, so that none can hold up the others. Thread-safe.

    Parameters
    ----------
    backends : mapping of str to Backend, optional
        By name; the installed ones (entry points) when left out.
    probe_s : float
        Seconds after which a probe is given up.
    """

    def __init__(self, backends: Mapping[str, Backend] | None = None, probe_s: float = PROBE_S) -> None:
        #: Names of all backends, whether anything is found or not.
        self.names = tuple(registry.backend_names() if backends is None else backends)
        self._given = backends
        self._probe_s = probe_s
        self._lock = threading.Lock()
        self._made: dict[str, Backend] = {}
        self._probes: dict[str, threading.Thread] = {}
        self._last: dict[str, Probed] = {}

    @property
    def hung(self) -> int:
        """Probes that were given up and have not returned."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._probes.values())

    def check(self, device: str) -> str:
        """Return the backend's name of a device's name; raise `InputError` where there is no such backend."""
        family, colon, instance = device.partition(":")
        if family not in self.names or (colon and not instance):
            allowed = ", ".join(self.names)
            # A URL or a configuration names a board.
            hint = f"; did you mean 'board:{device}'?" if "/" in device and "board" in self.names else ""
            raise InputError(f"device must be auto or one of {allowed}, alone or with :INSTANCE, not {device!r}{hint}")
        return family

    def probed(self, family: str) -> Probed | None:
        """Return what the last probe of a backend gave, or None before the first."""
        return self._last.get(family)

    def probe(self, families: Iterable[str] | None = None, *, again: bool = False) -> dict[str, Probed]:
        """Probe backends, all at once, and return what each gave.

        Parameters
        ----------
        families : iterable of str, optional
            Names of backends; all when left out.
        again : bool
            Probe those again that were probed before.

        Raises
        ------
        DeviceError
            The system allows no thread for a probe.
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
                    started[family] = running  # another caller's, or one that hangs
                    continue
                thread = start_thread(partial(self._look, family), f"ninefold probe {family}")
                self._probes[family] = started[family] = thread
        for family, thread in started.items():
            thread.join(self._probe_s)
            if thread.is_alive():
                reason = f"the probe of {family} has not returned for {self._probe_s:g} s"
                self._last[family] = Probed(None, {}, (), (Missing(family, reason, "look at its driver"),))
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
            probed = Probed(None, {}, (), (Missing(family, reason, "repair or remove the package that offers it"),))
        with self._lock:
            # A probe that was given up and overtaken by a later one says nothing any more.
            if self._probes.get(family) is me:
                self._last[family] = probed

    def _backend(self, family: str) -> Backend:
        if self._given is not None:
            return self._given[family]
        if family not in self._made:
            self._made[family] = registry.backend(family)
        return self._made[family]
