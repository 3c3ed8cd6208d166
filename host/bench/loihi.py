"""Loihi emulator: searches of 1,024 x 64 nits, and momentum in membranes beside floats.

Run with ``ninefold bench loihi``. The rows are seeded and many of them are equal, so that ties matter.
"""

import time

import numpy as np

from ninefold.host.backends.loihi import Loihi
from ninefold.numerics.nits import pack
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request
from ninefold.spec.data import Database
from ninefold.spec.operators import OPERATORS

from .devices import found
from .membranes import differences

__all__ = ["loihi"]

_ROWS, _DIMENSIONS, _K, _SEED = 1024, 64, 8, 9
_QUERIES = {"tiny": 3, "small": 20, "large": 100}


def _measure(request: Request) -> list[Figure]:
    """Search with one query a call, and compare with a sort of all dot products.

    Returns
    -------
    list of Figure
        Share of exact answers, and medians of time steps, spikes, synaptic operations and times over the queries; then
        the figures of `differences`.

    Raises
    ------
    UnavailableError
        nengo-loihi is not installed.
    """
    count = _QUERIES[request.size]
    rng = np.random.default_rng(_SEED)
    nits = rng.integers(-4, 5, (_ROWS // 4, _DIMENSIONS), dtype=np.int8)[rng.integers(0, _ROWS // 4, _ROWS)]
    # At this scale and mode, the quantiser does not change integers from -4 to 4.
    queries = rng.integers(-4, 5, (count, _DIMENSIONS)).astype(np.float32)
    attributes: dict[str, int | float | str] = {
        "rows": _ROWS,
        "dimensions": _DIMENSIONS,
        "scale": 1.0,
        "mode": "linear",
    }
    database = Database({"nits": pack(nits)}, attributes)
    device = Loihi().open()
    start = time.perf_counter()
    device.load(database)
    built = time.perf_counter() - start
    answers = [device.run(OPERATORS["mine"].bind({"q": q[None], "database": database}, {"k": _K})) for q in queries]
    compared = differences(request, device)
    device.close()
    scores = (queries @ nits.T.astype(np.float32)).astype(np.int32)
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :_K]
    exact = [
        np.array_equal(answer.values["ids"][0], ids) and np.array_equal(answer.values["scores"][0], row[ids])
        for answer, ids, row in zip(answers, wanted, scores, strict=True)
    ]
    parameters: dict[str, Parameter] = {"rows": _ROWS, "dimensions": _DIMENSIONS, "k": _K, "queries": 1}
    detail = f"{count} queries; ids and scores equal a stable sort of the dot products"
    share = sum(exact) / len(exact)
    name = "loihi:emulator"
    figures = [
        Figure(
            "mine",
            name,
            "exact answers, ties included",
            share,
            "",
            parameters,
            kind="exact",
            better="more",
            target=">= 1",
            detail=detail,
        )
    ]
    for metric, unit in (
        ("time_steps", "steps"),
        ("input_spikes", "spikes"),
        ("fired_spikes", "spikes"),
        ("synaptic_operations", "operations"),
        ("seconds", "s"),
    ):
        values = [answer.metrics[metric] for answer in answers]
        detail = f"least {min(values):.4g}, most {max(values):.4g}; {answers[0].metrics['cores']:.0f} core"
        quantity = metric.replace("_", " ")
        figures.append(
            Figure.timed("mine", name, quantity, values, unit, parameters=parameters, better="less", detail=detail)
        )
    figures.append(Figure("mine", name, "built in", built, "s", parameters, detail="once a database"))
    return figures + compared


def _check() -> object:
    return found(Loihi())


#: Suite that measures the backend ``loihi``.
loihi = Benchmark(_measure, _check, ("loihi",))
