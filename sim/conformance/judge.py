"""Comparison of a backend's answers and states with the golden models, exactly or within each result's tolerance."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.sim import golden
from ninefold.sim.conformance.cases import Case, Sequence
from ninefold.sim.conformance.measures import excess
from ninefold.spec.data import Answer, Kept, State
from ninefold.spec.protocols import Device, StateKeeper
from ninefold.spec.residents import load_and_run
from ninefold.spec.signature import Bound, Call, Declared, Ragged, Record, Tensor

__all__ = ["difference", "judged", "raised", "state_difference"]


def judged(device: Device, case: Case, wanted: Mapping[str, Any] | None = None) -> str:
    """Run a case on a device, and return the first difference from the golden model, or an empty string.

    Parameters
    ----------
    device : Device
        Open device; residents of the case are loaded on it.
    case : Call or Sequence
        Case to run. Each step of a sequence starts from the state that the device returned, so it is judged by itself.
    wanted : mapping of str to array, optional
        Values of the golden model for a call, if they are known.
    """
    if isinstance(case, Sequence):
        return _judged_steps(device, case)
    if wanted is None:
        try:
            wanted = golden.answer(case)
        except Exception as error:  # another party's model may raise anything
            return f"golden model: {raised(error)}"
    if flaw := case.operator.answer_flaw(case, wanted):
        return f"golden model: {flaw}"
    before = _copied(case.arguments)
    answer = load_and_run(device, case)
    return _unmarked(answer) or _written(before, case.arguments) or difference(case, answer.values, wanted)


def _judged_steps(device: Device, sequence: Sequence) -> str:
    state, layout = sequence.state, sequence.operator.layout_of(sequence.operator.state_name)
    device.load(state)
    for number, step in enumerate(sequence.steps, 1):
        call = sequence.call(state, step)
        try:
            values, arrays = golden.step(call)
        except Exception as error:  # another party's model may raise anything
            return f"step {number}: golden model: {raised(error)}"
        if flaw := call.operator.answer_flaw(call, values) or layout.flaw(state, state.next(arrays)):
            return f"step {number}: golden model: {flaw}"
        before = _copied({**call.arguments, **state.arrays})
        answer = device.run(call)
        made = answer.state
        if isinstance(made, Kept):
            if not isinstance(device, StateKeeper):
                return f"step {number}: it kept the state, but {device.name} has no fetch"
            made = device.fetch(made.id)
        if not isinstance(made, State):
            return f"step {number}: it returned no state"
        flaw = (
            _unmarked(answer)
            or _written(before, {**call.arguments, **state.arrays})
            or difference(call, answer.values, values)
            or layout.flaw(state, made)
            or state_difference(call, made, arrays)
        )
        if flaw:
            return f"step {number}: {flaw}"
        state = made
    return ""


def raised(error: BaseException) -> str:
    """Return an error in words, with the place in the source where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{at}"


def _copied(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return copies of the plain arrays among some values."""
    return {name: array.copy() for name, array in arrays.items() if isinstance(array, np.ndarray)}


def _written(before: Mapping[str, npt.NDArray[Any]], after: Mapping[str, Any]) -> str:
    """Return which array a device wrote to although it is the caller's, or an empty string."""
    changed = (name for name, array in before.items() if array.tobytes() != np.asarray(after[name]).tobytes())
    name = next(changed, "")
    return f"it wrote to {name}, which belongs to the caller" if name else ""


def _unmarked(answer: Answer) -> str:
    """Return what an answer lacks besides its values: the implementation's name, and the time."""
    if not answer.path:
        return "the answer names no path"
    return "" if answer.metrics.get("seconds", -1) >= 0 else "the answer has no metric seconds"


def difference(call: Call, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the first difference with result, element and both values; an empty string if there is none."""
    if flaw := call.operator.answer_flaw(call, values):
        return flaw
    for result in call.operator.results:
        if text := _differs(result, result.name, call, values[result.name], wanted[result.name]):
            return text
    return ""


def state_difference(call: Call, state: State, wanted: Mapping[str, Any]) -> str:
    """Return the first difference of a state's arrays from the golden model's, or an empty string."""
    for field in call.operator.layout_of(call.operator.state_name).fields:
        got, want = state.arrays.get(field.name), wanted.get(field.name)
        if got is None or want is None:
            if got is not want:
                return f"{field.name} of the state is {'missing' if got is None else 'not expected'}"
        elif text := _differs(field, f"{field.name} of the state", call, got, want):
            return text
    return ""


def _differs(declared: Declared, name: str, call: Call, got: Any, want: Any) -> str:
    if isinstance(declared, Record):
        columns = [field for field in declared.fields if field.name in want]
        texts = (_differs(field, f"{name}.{field.name}", call, got[field.name], want[field.name]) for field in columns)
        return next((text for text in texts if text), "")
    if isinstance(declared, Ragged):
        if not np.array_equal(got.offsets, want.offsets):
            return f"the offsets of {name} differ"
        declared, got, want = declared.values, got.values, want.values
    return _elements_differ(declared, name, call, np.asarray(got), np.asarray(want))


def _elements_differ(declared: Tensor, name: str, call: Call, got: npt.NDArray[Any], want: npt.NDArray[Any]) -> str:
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{name} is {got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    if isinstance(declared.tolerance, Bound):
        text = excess(declared.tolerance, call, got, want)
        return f"{name}{text}" if text else ""
    # Floats are compared by value: -0 may stand for 0. Where NaN is allowed, it is equal to itself.
    wrong = np.argwhere((got != want) & ((got == got) | (want == want)))  # noqa: PLR0124
    if not len(wrong):
        return ""
    at = tuple(wrong[0].tolist())
    return f"{name}{list(at)} is {got[at]}, not {want[at]} ({len(wrong)} differ)"
