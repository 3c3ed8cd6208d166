"""``Vector6D`` records to columns and back beside a copy of the same bytes, and their search.

Run with ``ninefold bench records``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ninefold.numerics.vector6d import Vector6DColumns, decode, encode
from ninefold.spec.benchmark import Benchmark, Figure, Parameter, Request, Size, summary
from ninefold.spec.errors import DeviceError
from ninefold.spec.vector6d import LINK_FIELDS, LINKS

from .search6d import searches
from .timing import interleaved

__all__ = ["records"]

#: Records and rounds.
_PLANS: Final[Mapping[Size, tuple[int, int]]] = {"tiny": (300, 3), "small": (100_000, 7), "large": (1_000_000, 5)}
_COPY: Final = "numpy copy"
_SEED, _BUDGET_S = 9, 60.0


def _measure(request: Request) -> list[Figure]:
    return _conversions(request) + searches(request)


def _conversions(request: Request) -> list[Figure]:
    number, rounds = _PLANS[request.size]
    made = _drawn(number)
    data = encode(made)
    again = decode(data)
    if any(array.tobytes() != again.arrays[name].tobytes() for name, array in made.arrays.items()):
        raise DeviceError(f"{number:,} records are not the same after encoding and decoding")
    del again
    contenders = {"encode": lambda: encode(made), "decode": lambda: decode(data), _COPY: data.copy}
    times = interleaved(contenders, rounds, _BUDGET_S)
    parameters: dict[str, Parameter] = {"records": number, "bytes": data.nbytes}
    figures = []
    for name in ("encode", "decode", _COPY):
        rates = [data.nbytes / seconds / 1e9 for seconds in times.seconds[name]]
        copies = [data.nbytes / seconds / 1e9 for seconds in times.seconds[_COPY]]
        beside = (
            {}
            if name == _COPY
            else {
                "beside": _COPY,
                "ratio": summary(rates)[0] / summary(copies)[0],
                "ratio_spread": summary([a / b for a, b in zip(rates, copies, strict=True)])[1],
                "task": f"{name} {number:,} Vector6D records, bytes a second",
            }
        )
        subject, better = ("numpy copy", "") if name == _COPY else ("columns", "more")
        figures.append(
            Figure.timed("records", subject, name, rates, "GB/s", parameters=parameters, better=better, **beside)
        )
    return figures


def _drawn(number: int) -> Vector6DColumns:
    """Return records of random bits, with 0 to 8 links each."""
    random = np.random.default_rng(_SEED)
    arrays = {
        name: np.frombuffer(random.bytes(array.nbytes), array.dtype).reshape(array.shape).copy()
        for name, array in Vector6DColumns.zeros(number).arrays.items()
    }
    arrays["links"] = random.integers(0, LINKS, number, np.uint8, endpoint=True)
    unused = np.arange(LINKS) >= arrays["links"][:, np.newaxis]
    for field in LINK_FIELDS:
        arrays[field.name][unused] = 0
    return Vector6DColumns(arrays)


#: Suite that measures ``ninefold.numerics.vector6d`` and the operator ``search6d``.
records = Benchmark(_measure)
