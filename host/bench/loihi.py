"""The Loihi emulator on 1,024 x 64 nits: exact answers, and what a query takes of the chip and of this machine.

Run with ``ninefold bench loihi``. The rows come from a seeded generator and hold many equal ones, so that ties decide.
"""

from statistics import median

import numpy as np

from ninefold.host.backends.loihi import Loihi
from ninefold.host.nits import pack
from ninefold.spec.benchmark import Benchmark, Row
from ninefold.spec.data import Database
from ninefold.spec.operators import OPERATORS

from .devices import found

__all__ = ["loihi"]

_ROWS, _DIMENSIONS, _K, _QUERIES, _SEED = 1024, 64, 8, 20, 9


def _measure() -> list[Row]:
    """Mine with one query a call, and compare with a sort of all dot products.

    Returns
    -------
    list of Row
        Exact answers (``%``), and medians over the queries: time steps, spikes, synaptic operations and times.

    Raises
    ------
    UnavailableError
        When nengo-loihi is not installed.
    """
    rng = np.random.default_rng(_SEED)
    nits = rng.integers(-4, 5, (_ROWS // 4, _DIMENSIONS), dtype=np.int8)[rng.integers(0, _ROWS // 4, _ROWS)]
    # At this scale and mode the quantiser leaves integers of -4 to 4 as they are.
    queries = rng.integers(-4, 5, (_QUERIES, _DIMENSIONS)).astype(np.float32)
    attributes: dict[str, int | float | str] = {
        "rows": _ROWS,
        "dimensions": _DIMENSIONS,
        "scale": 1.0,
        "mode": "linear",
    }
    database = Database({"nits": pack(nits)}, attributes)
    device = Loihi().open()
    answers = [device.run(OPERATORS["mine"].bind({"q": q[None], "database": database}, {"k": _K})) for q in queries]
    device.close()
    scores = (queries @ nits.T.astype(np.float32)).astype(np.int32)
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :_K]
    exact = [
        np.array_equal(answer.values["ids"][0], ids) and np.array_equal(answer.values["scores"][0], row[ids])
        for answer, ids, row in zip(answers, wanted, scores, strict=True)
    ]
    name = f"{_ROWS} x {_DIMENSIONS}, k = {_K}, 1 query"
    detail = f"{_QUERIES} queries; ids and scores equal a stable sort of the dot products"
    rows = [Row(f"{name}: exact answers, ties included", 100 * sum(exact) / len(exact), "%", "100", detail=detail)]
    for metric, unit in (
        ("time_steps", "steps"),
        ("input_spikes", "spikes"),
        ("fired_spikes", "spikes"),
        ("synaptic_operations", "operations"),
        ("seconds", "s"),
    ):
        figures = [answer.metrics[metric] for answer in answers]
        detail = f"least {min(figures):.4g}, most {max(figures):.4g}; {answers[0].metrics['cores']:.0f} core"
        rows.append(Row(f"{name}: {metric.replace('_', ' ')}", median(figures), unit, detail=detail))
    built = answers[0].metrics["build_seconds"]
    rows.append(Row(f"{_ROWS} x {_DIMENSIONS}: network built", built, "s", detail="once a database"))
    return rows


def _check() -> object:
    return found(Loihi())


#: Measures the backend ``loihi``.
loihi = Benchmark(_measure, _check)
