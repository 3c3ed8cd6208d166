"""Golden model of ``ssm_scan``, one step after the other in double precision."""

from typing import Any

import numpy as np

from ninefold.spec.signature import Call

__all__ = ["run", "scan"]


def scan(x: Any, a: Any, b: Any, c: Any, h: Any) -> tuple[list[Any], Any]:
    """Return the outputs of one sequence and its last state."""
    outputs = []
    for row in x:
        h = a @ h + b @ row
        outputs.append(c @ h)
    return outputs, h


def run(call: Call) -> dict[str, Any]:
    """Answer a checked call, one sequence after the other."""
    given = {name: value for name, value in call.arguments.items() if value is not None}
    dtype = np.complex64 if any(value.dtype.kind == "c" for value in given.values()) else np.float32
    wide = {name: value.astype(np.complex128 if dtype is np.complex64 else np.float64) for name, value in given.items()}
    x, a, b, c = (wide[name] for name in "xABC")
    h0 = wide.get("h0", np.zeros((len(x), len(a))))
    y, h = np.zeros((len(x), x.shape[1], len(c)), dtype), np.zeros((len(x), len(a)), dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for number, sequence in enumerate(x):
            outputs, last = scan(sequence, a, b, c, h0[number])
            h[number] = last
            for step, output in enumerate(outputs):
                y[number, step] = output
    return {"y": y, "h": h}
