"""``similarity6d`` on the CPU."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ninefold.numerics.rows import take
from ninefold.numerics.similarity6d import similarities, traits_of
from ninefold.spec.context import FADE_S, WEIGHTS, WITHOUT_LINKS
from ninefold.spec.data import Answer
from ninefold.spec.signature import Call

from .engine import Engine, blocks

if TYPE_CHECKING:
    from .device import CpuDevice

__all__ = ["RATING", "compared", "run"]

RATING = 6

_Columns = Mapping[str, npt.NDArray[Any]]
#: Columns in the order of the structure ``Columns`` of ``similarity6d.cpp``, and the numbers of ``Weights``.
_COLUMNS = ("embedding", "timestamp", "horizon", "modality", "intent", "confidence", "links", "link_hash")
_WEIGHTS = np.array([*WEIGHTS.values(), WITHOUT_LINKS, FADE_S])
#: Pairs in one call of the kernel, well under a second, so that interrupts are handled.
_PAIRS = 1 << 21


def run(device: "CpuDevice", call: Call) -> Answer:
    """Compare each query with each record."""
    a, b = call.arguments["a"], call.arguments["b"]
    with device.timed() as metrics:
        found = compared(device.engine, a, b)
    return Answer({"similarity": found}, "numpy" if device.engine.kernel is None else device.path, metrics)


def compared(engine: Engine, a: _Columns, b: _Columns, *, own: int | None = None) -> npt.NDArray[np.float32]:
    """Return the similarities of records.

    Parameters
    ----------
    engine : Engine
        Path of the comparison.
    a, b : mapping of str to array
        Columns of Q and of N records.
    own : int, optional
        Compare query q with the `own` records of `b` from q * own on alone; by default each query with each record.

    Returns
    -------
    float32 array of shape (Q, N) or (Q, own)
    """
    queries, rows = len(a["links"]), len(b["links"]) if own is None else own
    found = np.empty((queries, rows), np.float32)
    if engine.kernel is None:
        of_a, of_b = traits_of(a), traits_of(b)
        if own is None:
            return similarities(of_a, of_b)
        for q in range(queries):
            found[q] = similarities(of_a[q : q + 1], of_b[q * own : (q + 1) * own])[0]
        return found
    for part in blocks(queries, max(1, _PAIRS // max(1, rows))):
        some = found[part]
        its = take(b, slice(part.start * rows, part.stop * rows)) if own is not None else b
        (a_table, _a), (b_table, _b) = _table(take(a, part)), _table(its)
        engine.kernel("similarity6d", _WEIGHTS, a_table, len(some), b_table, rows, int(own is not None), some)
    return found


def _table(columns: _Columns) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[Any]]]:
    """Return the addresses of columns, and the arrays that must live as long."""
    arrays = [np.ascontiguousarray(columns[name]) for name in _COLUMNS]
    return np.array([array.__array_interface__["data"][0] for array in arrays], np.int64), arrays
