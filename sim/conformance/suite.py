"""Conformance of all installed backends for one operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ninefold.sim.conformance.cases import Case
from ninefold.sim.conformance.judge import judged, raised
from ninefold.spec.errors import InputError, UnavailableError
from ninefold.spec.progress import step
from ninefold.spec.protocols import Found
from ninefold.spec.registry import backend, backend_names
from ninefold.spec.runners import operators_of

__all__ = ["Verdict", "conform"]


@dataclass(frozen=True)
class Verdict:
    """Result of an operator's cases on one device, or of one part of a core.

    Attributes
    ----------
    device : str
        ``backend[:instance]``, or the part of a core that was run.
    cases : int
        Number of cases, tests, levels or tasks that ran; 0 if there is nothing to run.
    flaws : mapping of str to str
        Case -> first difference from the golden model, or the device's error.
    reason : str
        Reason that nothing ran; empty if the cases ran.
    """

    device: str
    cases: int
    flaws: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def conform(operator: str, cases: Mapping[str, Case], devices: Iterable[str] = ()) -> Iterator[Verdict]:
    """Run an operator's cases on devices, and yield a verdict for each device.

    Parameters
    ----------
    operator : str
        Name of the operator.
    cases : mapping of str to Call or Sequence
        Cases by name.
    devices : iterable of str
        Devices, ``backend[:instance]``; by default the first one of every installed backend that computes.

    Raises
    ------
    InputError
        A device names no installed backend.
    """
    named = list(devices)
    for device in named or backend_names():
        name, _, instance = device.partition(":")
        if name not in backend_names():
            raise InputError(
                f"device must be one of {', '.join(backend_names())}, alone or with :INSTANCE, not {device!r}"
            )
        with step(f"judging {operator} on {device}"):
            verdict = _judged(operator, cases, device, instance)
        if verdict is not None:
            yield verdict


def _judged(operator: str, cases: Mapping[str, Case], device: str, instance: str) -> Verdict | None:
    """Return the verdict on one device; None if it computes nothing."""
    found = backend(device.partition(":")[0])
    if any(isinstance(entry, Found) and not entry.computes for entry in found.probe()):
        return None
    resolved = getattr(found, "resolve", lambda _: None)(instance) if instance else None
    own = resolved.operators if isinstance(resolved, Found) else None
    known = operators_of(found) if own is None else own
    if reason := known.get(operator, "its backend does not know the operator"):
        return Verdict(device, 0, reason=reason)
    try:
        opened = found.open(instance)
    except UnavailableError as error:
        return Verdict(device, 0, reason=f"not available: {error}")
    flaws = {}
    try:
        for name, case in cases.items():
            try:
                text = judged(opened, case)
            except Exception as error:  # a third party's operator may raise anything
                text = raised(error)
            if text:
                flaws[name] = text
    finally:
        opened.close()
    return Verdict(opened.name, len(cases), flaws)
