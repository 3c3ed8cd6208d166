"""Linear state-space models beside a loop of NumPy and SciPy's ``lfilter``, part of the suite ``waves``."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.spec.benchmark import Figure, Parameter, Request, Size
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device

from .devices import opened
from .timing import interleaved

__all__ = ["scan_figures"]

_CASE: Final = "ssm_scan"
_Array = npt.NDArray[Any]
_Run = Callable[[], _Array]
#: The matrices A, B and C.
_Model = Mapping[str, _Array]
#: Sequences, steps, and rounds.
_PLANS: Final[Mapping[Size, tuple[int, int, int]]] = {
    "tiny": (3, 20, 3),
    "small": (16, 4096, 9),
    "large": (64, 65_536, 5),
}
#: Numbers of inputs, states and outputs. ``lfilter`` applies where input and output are one number.
_SHAPES: Final = ((1, 4, 1), (16, 64, 16))
_SEED, _BUDGET_S = 9, 10.0
_LOOP, _FILTER = "numpy loop", "scipy lfilter"
_TARGET: Final = "<= 1"


def scan_figures(request: Request) -> list[Figure]:
    """Measure ``ssm_scan`` on each device: a filter of one input and one output, and a model of many."""
    sequences, steps, rounds = _PLANS[request.size]
    figures = []
    with opened(request, ("cpu", "openvino")) as devices:
        for inputs, states, outputs in _SHAPES:
            rng = np.random.default_rng(_SEED)
            x = rng.standard_normal((sequences, steps, inputs), np.float32)
            contenders: dict[str, _Run] = {}
            if inputs == outputs == 1:
                numerator, denominator = _filter(states)
                model = _controllable(numerator, denominator)
                if importlib.util.find_spec("scipy") is not None:
                    contenders[_FILTER] = _filtered(numerator, denominator, x)
                else:
                    request.note("waves: scipy is skipped: it is not installed; pip install scipy")
            else:
                model = _drawn(rng, inputs, states, outputs)
            contenders[_LOOP] = functools.partial(_looped, model, x)
            peers = tuple(contenders)
            contenders |= {name: _run(device, model, x) for name, device in devices.items()}
            wanted = contenders[_LOOP]()
            for name, run in contenders.items():
                # The filters keep their states in float32 and in other forms, and their outputs are of magnitude 1.
                if not np.abs(run() - wanted).max() <= 1e-4 * np.abs(wanted).max():
                    raise DeviceError(f"{name} and {_LOOP} differ in {_CASE} of {states} states")
            times = interleaved(contenders, rounds, _BUDGET_S)
            parameters: dict[str, Parameter] = {
                "sequences": sequences,
                "steps": steps,
                "inputs": inputs,
                "states": states,
                "outputs": outputs,
            }
            task = f"{_CASE} of {states} states, {inputs} in, {outputs} out"
            for name in devices:
                for peer in peers:
                    quantity = "time" if peer == _LOOP else f"time beside {peer}"
                    target = _TARGET if name == "cpu" and request.size != "tiny" else ""
                    figures.append(
                        times.figure(_CASE, name, parameters, quantity=quantity, beside=peer, target=target, task=task)
                    )
            figures += [times.figure(_CASE, peer, parameters, better="") for peer in peers]
    return figures


def _run(device: Device, model: _Model, x: _Array) -> _Run:
    call = OPERATORS["ssm_scan"].bind({"x": x, **model})
    return lambda: device.run(call).values["y"]


def _looped(model: _Model, x: _Array) -> _Array:
    """Return the outputs by one product a step for all sequences."""
    driven, factor = x @ model["B"].T, model["A"].T
    h = np.zeros((len(x), len(factor)), np.float32)
    kept = np.empty(driven.shape, np.float32)
    for k in range(x.shape[1]):
        h = h @ factor + driven[:, k]
        kept[:, k] = h
    outputs: _Array = kept @ model["C"].T
    return outputs


def _drawn(rng: np.random.Generator, inputs: int, states: int, outputs: int) -> _Model:
    """Return a model of normal numbers whose spectral radius is 0.95."""
    drawn = {"A": (states, states), "B": (states, inputs), "C": (outputs, states)}
    model = {name: rng.standard_normal(shape) for name, shape in drawn.items()}
    model["A"] *= 0.95 / np.abs(np.linalg.eigvals(model["A"])).max()
    return {name: matrix.astype(np.float32) for name, matrix in model.items()}


def _filter(states: int) -> tuple[_Array, _Array]:
    """Return numerator and denominator of a recursive filter with poles of magnitude 0.7."""
    angles = np.pi * (np.arange(states // 2) + 1) / (states // 2 + 1)
    poles = 0.7 * np.exp(1j * np.concatenate([angles, -angles]))
    return np.linspace(1, 0.25, states, dtype=np.float32), np.poly(poles).real.astype(np.float32)


def _controllable(numerator: _Array, denominator: _Array) -> _Model:
    """Return the model of a filter in controllable canonical form: its state is the last values of the recursion."""
    states = len(numerator)
    factor = np.eye(states, k=-1, dtype=np.float32)
    factor[0] = -denominator[1:]
    return {"A": factor, "B": np.eye(states, 1, dtype=np.float32), "C": numerator[np.newaxis]}


def _filtered(numerator: _Array, denominator: _Array, x: _Array) -> _Run:
    from scipy import signal

    return lambda: signal.lfilter(numerator, denominator, x, axis=1)
