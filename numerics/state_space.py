"""State-space models: their matrices as real ones, and several steps as one product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ninefold.spec.operators.ssm_scan import is_complex
from ninefold.spec.signature import Call

__all__ = ["RealModel", "real_model", "several_steps"]

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RealModel:
    """State-space model over real numbers; a complex number is the pair of its real and imaginary parts.

    Attributes
    ----------
    a, b, c : float64 arrays of shapes (S, S), (S, M) and (P, S)
        Factors, C-contiguous.
    x : float32 array of shape (N, K, M)
        Inputs, C-contiguous.
    h : float64 array of shape (N, S)
        States before the first step; a copy.
    complex : bool
        True if numbers are pairs.
    """

    a: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    c: npt.NDArray[np.float64]
    x: npt.NDArray[np.float32]
    h: npt.NDArray[np.float64]
    complex: bool

    def results(self, y: npt.NDArray[np.float32], h: npt.NDArray[np.float64]) -> dict[str, _Array]:
        """Return outputs (N, K, P) and last states (N, S) as the results of the call."""
        with np.errstate(over="ignore"):  # a state beyond float32 is infinite
            last = h.astype(np.float32)
        return {name: array.view(np.complex64) if self.complex else array for name, array in (("y", y), ("h", last))}


def real_model(call: Call) -> RealModel:
    """Return the model and the inputs of a checked call of ``ssm_scan`` over real numbers."""
    pairs = is_complex(call)
    given = {name: None if value is None else np.asarray(value) for name, value in call.arguments.items()}
    a, b, c = (_real_matrix(np.asarray(given[name]), pairs) for name in "ABC")
    x, h0 = given["x"], given["h0"]
    h = np.zeros((len(np.asarray(x)), len(a))) if h0 is None else _real_numbers(h0, pairs).astype(np.float64)
    return RealModel(a, b, c, _real_numbers(np.asarray(x), pairs), h, pairs)


def several_steps(model: RealModel, steps: int) -> npt.NDArray[np.float64]:
    """Return the matrix of several steps at once.

    Parameters
    ----------
    model : RealModel
        Model.
    steps : int
        Number of steps, T.

    Returns
    -------
    float64 array of shape (T M + S, T P + S)
        Its product with a row of the inputs of all steps and the state before them is the row of the outputs of all
        steps and the state after them.
    """
    (states, inputs), outputs = model.b.shape, len(model.c)
    matrix = np.zeros((steps * inputs + states, steps * outputs + states))
    # Columns of the state after each step, by the inputs so far and the first state.
    state = np.zeros((steps * inputs + states, states))
    state[steps * inputs :] = np.eye(states)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            state = state @ model.a.T
            state[step * inputs : (step + 1) * inputs] = model.b.T
            matrix[:, step * outputs : (step + 1) * outputs] = state @ model.c.T
    matrix[:, steps * outputs :] = state
    return matrix


def _real_numbers(x: _Array, pairs: bool) -> npt.NDArray[np.float32]:
    """Return numbers as float32 along the last axis, each a pair if `pairs`."""
    return np.ascontiguousarray(x, np.complex64).view(np.float32) if pairs else np.ascontiguousarray(x, np.float32)


def _real_matrix(matrix: _Array, pairs: bool) -> npt.NDArray[np.float64]:
    """Return a matrix in float64, with a block of 2 x 2 for each number if `pairs`."""
    if not pairs:
        return np.ascontiguousarray(matrix, np.float64)
    wide = matrix.astype(np.complex128)
    real = np.empty((len(matrix), 2, matrix.shape[1], 2))
    real[:, 0, :, 0] = real[:, 1, :, 1] = wide.real
    real[:, 1, :, 0] = wide.imag
    real[:, 0, :, 1] = -wide.imag
    return real.reshape(2 * len(matrix), 2 * matrix.shape[1])
