"""Execution of a case's steps on a verilated model, up to the first that fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ninefold.sim.levels.case import Beats, Case, Step
from ninefold.sim.verilated import Model

__all__ = ["Played", "played"]

#: Cycles after the last beat in which no other may come.
_SETTLE = 200
#: Cycles without a beat after which an aborted step ends.
_BREAK = 60
#: Cycles without a beat after which a core is considered full.
_FULL = 500


@dataclass(frozen=True)
class End:
    """Failure of a step.

    Attributes
    ----------
    stream : str
        Name of the stream.
    beat : int
        Index of the beat.
    reason : str
        Description of the fault.
    step : int
        Operation of the step.
    cycle : int
        Clock cycle.
    """

    stream: str
    beat: int
    reason: str
    step: int
    cycle: int


@dataclass
class Played:
    """Outputs of the steps.

    Attributes
    ----------
    beats : mapping of str to array
        Beats of each output, up to the end.
    end : End or None
        Failure that ended the steps early; None also for a missing beat, which `beats` shows.
    filled : list
        Number of each step that fills the core, the cycle, and the number of beats taken from each input.
    """

    beats: dict[str, Beats]
    end: End | None = None
    filled: list[tuple[int, int, Mapping[str, int]]] = field(default_factory=list)


def played(case: Case, model: Model) -> Played:
    """Send the inputs of all steps and collect the outputs."""
    streams = model.streams
    found = Played({name: np.zeros((0, streams[name].beat_bytes), np.uint8) for name in case.expected()})
    for step in case.steps:
        if not _step(case, model, step, found):
            return found
        if not step.broken_off and not _quiet(model, step, _SETTLE if step is case.steps[-1] else step.rest, found):
            return found
    for (step_number, cycle, full), (_, _, after) in pairwise(found.filled):
        for name, count in full.items():
            if count != after[name] and found.end is None:
                reason = f"full, but takes {after[name]} beats after a reset"
                found.end = End(name, count, reason, step_number, cycle)
    return found


def _step(case: Case, model: Model, step: Step, found: Played) -> bool:
    """Run one step; return whether all its beats have moved."""
    if step.reset:
        model.reset()
    inputs = step.inputs
    if step.fills:
        _, full = model.exchange(inputs, {}, _FULL, step.gaps)
        inputs = {name: beats[full[name] :] for name, beats in inputs.items()}
        found.filled.append((step.number, model.cycles, full))
    wanted = {name: len(due) for name, due in step.outputs.items()}
    patience = _BREAK if step.broken_off else case.patience
    run, taken = model.exchange(inputs, wanted, patience, step.gaps, step.blocked)
    for name, came in run.outputs.items():
        found.beats[name] = np.concatenate([found.beats[name], came])
    if any(len(run.outputs[name]) < count for name, count in wanted.items()):
        return False
    left = [name for name, beats in inputs.items() if taken[name] < len(beats)]
    if left and not step.broken_off:
        found.end = End(left[0], taken[left[0]], "not taken", step.number, max(0, model.cycles - patience))
    return found.end is None


def _quiet(model: Model, step: Step, cycles: int, found: Played) -> bool:
    """Wait for some cycles; return whether no beat came."""
    more = model.exchange({}, dict.fromkeys(found.beats, 1), cycles)[0].outputs if cycles else {}
    for name, came in more.items():
        if len(came):
            found.end = End(name, len(found.beats[name]), "one more", step.number, model.cycles - cycles)
            found.beats[name] = np.concatenate([found.beats[name], came])
            return False
    return True
