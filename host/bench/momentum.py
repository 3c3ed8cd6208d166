"""Updates of the momentum memory beside a loop of NumPy, and beside copying the rows that they change.

Run with ``ninefold bench momentum``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ninefold.numerics.momentum import new_memory
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size
from ninefold.spec.data import State
from ninefold.spec.errors import DeviceError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Device, StateKeeper
from ninefold.spec.signature import Call

from .devices import opened
from .limits import limited
from .timing import Times, interleaved

__all__ = ["momentum"]

_Array = npt.NDArray[Any]
#: Clusters, dimensions, sizes of batches, and repetitions.
_PLANS: Final[Mapping[Size, tuple[int, int, tuple[int, ...], int]]] = {
    "tiny": (32, 40, (5,), 3),
    "small": (1024, 512, (64, 1024), 15),
    "large": (65536, 512, (64, 1024, 16384), 9),
}
#: Vectors of one measured call, in batches: a single batch takes a few microseconds.
_VECTORS = 2048
_SEED, _BUDGET_S = 11, 8.0
_LOOP, _COPY = "numpy loop", "numpy copy"
_TARGET: Final = "<= 0.05"
_COPY_TARGET: Final = "<= 2"


def _measure(request: Request) -> list[Figure]:
    clusters, dimensions, batches, repetitions = _PLANS[request.size]
    figures: list[Figure] = []
    with limited(request), opened(request, ("cpu", "opencl")) as devices:
        for batch in batches:
            rng = np.random.default_rng(_SEED)
            # A batch changes different rows, so that all of them must be moved.
            arguments: dict[str, _Array] = {
                "clusters": rng.permutation(clusters)[: min(batch, clusters)],
                "vectors": rng.standard_normal((min(batch, clusters), dimensions), np.float32),
                "times": np.full(min(batch, clusters), 1e6),
            }
            rounds = max(1, _VECTORS // batch)
            state = new_memory(f"bench {batch}", clusters, dimensions, seed=_SEED)
            wanted = _Loop(state, arguments)
            wanted()
            contenders: dict[str, Callable[[], object]] = {}
            for name, device in devices.items():
                updates = _Updates(device, state, arguments)
                updates()
                if (updates.rows() != wanted.rows).any():
                    raise DeviceError(f"{name} and {_LOOP} differ after a batch of {batch}")
                contenders[name] = _repeated(updates, rounds)
            contenders[_LOOP] = _repeated(wanted, rounds)
            contenders[_COPY] = _repeated(_copier(state.arrays["rows"].copy(), arguments["clusters"]), rounds)
            times = interleaved(contenders, repetitions, _BUDGET_S)
            parameters: dict[str, Parameter] = {
                "clusters": clusters,
                "dimensions": dimensions,
                "batch": batch,
                "batches": rounds,
            }
            figures += _figures(times, tuple(devices), parameters, tested=request.size != "tiny")
    return figures


def _repeated(function: Callable[[], object], rounds: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(rounds):
            function()

    return run


class _Updates:
    """Calls of ``dmi_update`` for one device, each of the version that the one before made."""

    def __init__(self, device: Device, state: State, arguments: Mapping[str, _Array]) -> None:
        device.load(state)
        self._device = device
        self._call = OPERATORS["dmi_update"].bind({"state": state, **arguments})

    def __call__(self) -> None:
        call, before = self._call, self._call.state()
        self._device.run(call)
        after = State(before.id, before.version + 1, {}, {})
        self._call = Call(call.operator, {**call.arguments, "state": after}, call.options, call.sizes)

    def rows(self) -> _Array:
        """Return the rows on the device."""
        if not isinstance(self._device, StateKeeper):
            raise DeviceError(f"{self._device.name} does not keep the state")
        rows: _Array = self._device.fetch(self._call.state().id).arrays["rows"]
        return rows


class _Loop:
    """Updates by NumPy, one vector after another."""

    def __init__(self, state: State, arguments: Mapping[str, _Array]) -> None:
        self.rows, self._momentum, self._last = (state.arrays[n].copy() for n in ("rows", "momentum", "last"))
        self._arguments = arguments

    def __call__(self) -> None:
        rows, momentum, last = self.rows, self._momentum, self._last
        for c, vector, time in zip(*self._arguments.values(), strict=True):
            since = time - last[c] if last[c] else 0.0
            weight = np.float32(0.05 * math.exp(-since / 300))
            rows[c] = (np.float32(1) - weight) * rows[c].astype(np.float32) + weight * vector
            row = rows[c].astype(np.float32)
            cosine = vector @ row / np.sqrt((vector @ vector) * (row @ row))
            momentum[c] = 0.9 * momentum[c] + 0.1 * cosine
            last[c] = time


def _copier(rows: _Array, clusters: _Array) -> Callable[[], None]:
    """Return a function that reads and writes the rows that a batch changes."""
    buffer = np.empty((len(clusters), rows.shape[1]), rows.dtype)

    def copy() -> None:
        np.take(rows, clusters, axis=0, out=buffer)
        rows[clusters] = buffer

    return copy


def _figures(
    times: Times, devices: tuple[str, ...], parameters: Mapping[str, Parameter], *, tested: bool
) -> list[Figure]:
    batch = parameters["batch"]
    task = f"updates of a momentum memory, batches of {batch}"
    figures = []
    for name in devices:
        for peer, quantity, target in ((_LOOP, "time", _TARGET), (_COPY, f"time beside {_COPY}", _COPY_TARGET)):
            held = target if name == "cpu" and tested else ""
            figures.append(
                times.figure("momentum", name, parameters, quantity=quantity, beside=peer, target=held, task=task)
            )
    return figures + [times.figure("momentum", peer, parameters, better="") for peer in (_LOOP, _COPY)]


#: Suite that measures the operator ``dmi_update``.
momentum = Benchmark(_measure, backends=("*",))
