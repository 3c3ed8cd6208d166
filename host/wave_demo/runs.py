"""Run of one wave on several devices, frame by frame, with a comparison of every bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.host.commands.shown import duration
from ninefold.host.scheduler import DeviceStatus, Scheduler
from ninefold.spec.data import State
from ninefold.spec.errors import DeviceError, UnavailableError, UnsupportedError
from ninefold.spec.operators.wave_step_fixed import FRACTION_BITS, LATTICE
from ninefold.spec.progress import step
from ninefold.spec.protocols import Found, Missing

__all__ = ["CORE", "OPERATOR", "Outcome", "Plan", "chosen", "drops", "outcomes"]

OPERATOR: Final = "wave_step_fixed"
#: Core that runs it, also on a board.
CORE: Final = "wave_lattice"
_Frames = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Plan:
    """Lattice, frames, and options of ``wave_step_fixed``.

    Attributes
    ----------
    height, width : int
        Extents of the lattice.
    frames : int
        Number of frames, the first state included.
    steps : int
        Steps between two frames.
    options : mapping of str to int
        Coefficients ``A``, ``B``, ``C`` and ``T``.
    """

    height: int = 64
    width: int = 64
    frames: int = 120
    steps: int = 2
    options: Mapping[str, int] = field(default_factory=lambda: {"A": 128})


@dataclass(frozen=True, eq=False)
class Outcome:
    """Run of a device, or the reason that there is none.

    Attributes
    ----------
    device : str
        Name of the device.
    frames : int32 array of shape (F, 2, H, W) or None
        ``psi`` and ``v`` of each frame; None if the device did not run.
    reason : str
        Reason that it did not run; empty if it did.
    seconds : float
        Time of all calls as the device measures it.
    cycles : int
        Clock cycles of all calls; 0 if the device counts none.
    differs : tuple of int, or None
        Frame, array (0 for ``psi``, 1 for ``v``), row and column of the first number that differs from the first
        device's; None if all bits are equal.
    """

    device: str
    frames: _Frames | None = None
    reason: str = ""
    seconds: float = 0.0
    cycles: int = 0
    differs: tuple[int, int, int, int] | None = None

    @property
    def text(self) -> str:
        """Sentence about the run."""
        if self.frames is None:
            return f"not run: {self.reason}"
        cycles = f", {self.cycles:,} clock cycles" if self.cycles else ""
        text = f"ran in {duration(self.seconds)}{cycles}"
        if self.differs is None:
            return text
        frame, array, row, column = self.differs
        return f"{text}; differs first in frame {frame}, {('psi', 'v')[array]} of row {row}, column {column}"


def drops(plan: Plan) -> State:
    """Return a lattice at rest with two drops of opposite sign, each a Gaussian of height 1."""
    y, x = np.mgrid[: plan.height, : plan.width].astype(np.float64)
    psi = np.zeros((plan.height, plan.width))
    radius = max(1.0, min(plan.height, plan.width) / 16)
    for sign, row, column in ((1, 0.35, 0.3), (-1, 0.6, 0.7)):
        # Distances on the periodic lattice.
        away = [
            np.abs((place - round(share * extent) + extent / 2) % extent - extent / 2)
            for place, share, extent in ((y, row, plan.height), (x, column, plan.width))
        ]
        psi += sign * np.exp(-(away[0] ** 2 + away[1] ** 2) / (2 * radius**2))
    numbers = np.round(psi * 2**FRACTION_BITS).astype(np.int32)
    return LATTICE.state("wave", {"psi": numbers, "v": np.zeros_like(numbers)})


def chosen(statuses: Sequence[DeviceStatus], names: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield each device to run and the reason that it cannot; the reason is empty if it can.

    Without names there is one device for each backend whose answers are computed, ``cpu`` first: the first one that
    rates the operator, else the first one. A backend that is missing or does not run the operator is yielded with its
    reason.
    """
    if names:
        yield from ((name, "") for name in names)
        return
    backends: dict[str, list[DeviceStatus]] = {}
    for status in statuses:
        if not (isinstance(status.entry, Found) and not status.entry.computes):
            backends.setdefault(status.device.partition(":")[0], []).append(status)
    for name in sorted(backends, key=lambda name: (name != "cpu", name)):
        entries = backends[name]
        reason = next((text for status in entries if (text := status.operators.get(OPERATOR))), "")
        ready = [status for status in entries if isinstance(status.entry, Found)]
        if reason or not ready:
            missing = next((status.entry for status in entries if isinstance(status.entry, Missing)), None)
            yield name, reason or (f"{missing.reason}; {missing.install}" if missing is not None else "no device")
            continue
        rated = [status for status in ready if isinstance(status.entry, Found) and OPERATOR in status.entry.ratings]
        yield (rated or ready)[0].device, ""


def outcomes(scheduler: Scheduler, plan: Plan, names: Sequence[str] = ()) -> list[Outcome]:
    """Run the wave on the named devices, or on one for each backend, and compare each run with the first.

    A device that fails or refuses the lattice is an outcome with that reason.
    """
    with step("looking for devices"):
        statuses = scheduler.devices()
    found: list[Outcome] = []
    for device, reason in chosen(statuses, names):
        if reason:
            found.append(Outcome(device, reason=reason))
            continue
        first = next((one.frames for one in found if one.frames is not None), None)
        try:
            found.append(_run(scheduler, plan, device, first))
        except (DeviceError, UnavailableError, UnsupportedError) as error:
            found.append(Outcome(device, reason=str(error)))
    return found


def _run(scheduler: Scheduler, plan: Plan, device: str, first: _Frames | None) -> Outcome:
    start = drops(plan)
    handle = scheduler.load(State(f"wave on {device}", 0, start.arrays, start.attributes))
    frames = np.empty((plan.frames, 2, plan.height, plan.width), np.int32)
    frames[0] = [start.arrays[name] for name in ("psi", "v")]
    seconds, cycles = 0.0, 0
    options: dict[str, Any] = {**plan.options, "steps": plan.steps, "device": device, "strict": True}
    try:
        with step(f"running the wave on {device}", plan.frames - 1) as running:
            for frame in range(1, plan.frames):
                metrics = scheduler.run(OPERATOR, handle, **options).metrics
                seconds += float(metrics.get("seconds", 0.0))
                cycles += int(metrics.get("cycles", 0))
                frames[frame] = [handle.state.arrays[name] for name in ("psi", "v")]
                running.advance()
    finally:
        scheduler.unload(handle)
    return Outcome(device, frames, "", seconds, cycles, None if first is None else _difference(first, frames))


def _difference(first: _Frames, other: _Frames) -> tuple[int, int, int, int] | None:
    """Return the place of the first number that differs, in the order of frames; None if all are equal."""
    places = np.flatnonzero(first.ravel() != other.ravel())
    if not places.size:
        return None
    frame, array, row, column = (int(number) for number in np.unravel_index(places[0], first.shape))
    return frame, array, row, column
