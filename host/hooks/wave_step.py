"""Spot check of ``wave_step``."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.data import Answer, State
from ninefold.spec.signature import Call

from . import SAMPLED_ROWS

__all__ = ["boxes", "check", "laplacian"]

_Array = npt.NDArray[Any]
#: Steps times cells of a box that is advanced again, and cells of a box.
_WORK, _CELLS = 1 << 20, 1 << 16
#: Magnitude from which a float32 of a device may be infinite or NaN, since a step adds and multiplies a few of them.
_OVERFLOW = float(np.finfo(np.float32).max) / 64


def laplacian(psi: _Array) -> _Array:
    """Return the sum of both neighbours along each axis, less twice the cell for each; the edges wrap around."""
    total: _Array = -2 * psi.ndim * psi
    for axis in range(psi.ndim):
        total = total + np.roll(psi, 1, axis) + np.roll(psi, -1, axis)
    return total


def boxes(
    shape: tuple[int, ...], steps: int, generator: np.random.Generator
) -> tuple[Callable[[_Array], _Array], tuple[int, ...], tuple[int, ...]] | None:
    """Return a box around a sampled cell that holds all that reaches the cell in some steps.

    Parameters
    ----------
    shape : tuple of int
        Extents of the periodic lattice.
    steps : int
        Number of steps, in each of which a cell reaches its neighbours.
    generator : numpy.random.Generator
        Generator that chooses the cell.

    Returns
    -------
    callable
        Function that cuts the box out of an array of the lattice.
    tuple of int
        Place of the cell in the lattice.
    tuple of int
        Place of the cell in the box. Its edges wrap around where the box is as long as the lattice; elsewhere values
        at the edges are wrong after a step, and do not reach the cell.
    """
    extents = [min(extent, 2 * steps + 1) for extent in shape]
    if np.prod(extents, dtype=np.float64) > min(_CELLS, _WORK // steps):
        return None
    cell = tuple(int(generator.integers(extent)) for extent in shape)
    whole = zip(cell, shape, extents, strict=True)
    places = [(at - extent // 2 + np.arange(extent)) % length for at, length, extent in whole]
    return lambda array: np.asarray(array)[np.ix_(*places)], cell, tuple(extent // 2 for extent in extents)


def check(call: Call, answer: Answer, generator: np.random.Generator) -> str:
    """Compute the acceleration of sampled cells from the answer, and advance the surroundings of one cell again."""
    state = answer.state
    if not isinstance(state, State):
        return "it has no next version of the wave"
    for name in ("r", "s"):
        if not np.array_equal(state.arrays[name], call.state().arrays[name]):
            return f"{name} of the wave changed"
    return _force_differs(call, state, generator) or _advanced_differs(call, state, generator)


def _terms(call: Call, cut: Callable[[_Array], _Array]) -> tuple[_Array, _Array, Any]:
    """Return c0^2 / (1 + s)^2, alpha (1 - r) and the sources in a part of the lattice, in double precision."""
    arrays, options = call.state().arrays, call.options
    s, r = (cut(np.asarray(arrays[name])).astype(np.float64) for name in ("s", "r"))
    sources = call.arguments["sources"]
    force = 0.0 if sources is None else cut(np.asarray(sources)).astype(np.complex128)
    return options["c0"] ** 2 / (1 + s) ** 2, options["alpha"] * (1 - r), force


def _force_differs(call: Call, state: State, generator: np.random.Generator) -> str:
    """Return the first sampled cell whose acceleration does not belong to its displacement and velocity."""
    psi, v, a = (np.asarray(state.arrays[name]) for name in ("psi", "v", "a"))
    places = tuple(generator.integers(extent, size=SAMPLED_ROWS) for extent in psi.shape)
    here = psi[places].astype(np.complex128)
    speed, damping, sources = _terms(call, lambda array: array[places])
    with np.errstate(over="ignore", invalid="ignore"):
        around = -2 * psi.ndim * here
        for axis, extent in enumerate(psi.shape):
            for shift in (1, -1):
                moved = (*places[:axis], (places[axis] + shift) % extent, *places[axis + 1 :])
                around = around + psi[moved]
        terms = (speed * around, call.options["beta"] * np.abs(here) ** 2 * here, sources, -damping * v[places])
        wanted = sum(terms, np.zeros(SAMPLED_ROWS, np.complex128))
        # Each term is rounded to float32, and the terms may cancel.
        sizes = speed * np.abs(here) * 4 * psi.ndim + sum(np.abs(term) for term in terms[1:])
        fits = np.maximum(sizes, _cubic(here, call.options["beta"])) < _OVERFLOW
        wrong = np.flatnonzero(fits & ~(np.abs(a[places] - wanted) <= 1e-5 * (sizes + np.abs(wanted))))
    if not len(wrong):
        return ""
    cell = [int(place[wrong[0]]) for place in places]
    return f"the acceleration of cell {cell} is {a[tuple(cell)]:.8g}, not {wanted[wrong[0]]:.8g}"


def _cubic(psi: _Array, beta: float) -> Any:
    """Return the largest number on the way to the cubic force, 0 without it."""
    return np.abs(psi) ** 3 * max(1.0, abs(beta)) if beta else 0.0


def _advanced_differs(call: Call, state: State, generator: np.random.Generator) -> str:
    """Return a sampled cell that is not where all steps lead; nothing if too many cells reach it."""
    arrays, options = call.state().arrays, call.options
    found = boxes(np.shape(arrays["psi"]), options["steps"], generator)
    if found is None:
        return ""
    cut, cell, middle = found
    psi, v, a = (cut(np.asarray(arrays[name])).astype(np.complex128) for name in ("psi", "v", "a"))
    (speed, damping, sources), dt = _terms(call, cut), options["dt"]
    first = psi
    peak = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(options["steps"]):
            ahead = v + a * (dt / 2)
            psi = psi + ahead * dt
            force = speed * laplacian(psi) + options["beta"] * np.abs(psi) ** 2 * psi + sources
            v = (ahead + force * (dt / 2)) / (1 + damping * (dt / 2))
            a = force - damping * v
            numbers = (psi, v, a, force, _cubic(psi, options["beta"]))
            peak = np.maximum(peak, np.max([np.abs(one).max() for one in numbers]))  # NaN if one of them is
    if not peak < _OVERFLOW:
        return ""
    wanted = {"psi": psi[middle], "v": v[middle], "a": a[middle]}
    scale = max(float(np.abs(first).max()), *(abs(one) for one in wanted.values())) * max(1.0, options["steps"] / 100)
    for name, value in wanted.items():
        got = np.asarray(state.arrays[name])[cell]
        if not abs(got - value) <= 1e-4 * scale:
            return f"{name} of cell {list(cell)} is {got:.8g}, not {value:.8g}"
    return ""
