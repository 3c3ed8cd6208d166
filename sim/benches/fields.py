"""Contract of benches and what runs them, and payloads as integers, the first field in the least significant bits."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["PERIOD_NS", "VARIABLE", "join", "parameters", "signed", "split", "word", "words"]

#: Environment variable that carries the parameters of the core, as JSON, to the benches.
VARIABLE = "NINEFOLD_CORE_PARAMETERS"
#: Period of the clock that every bench makes.
PERIOD_NS = 10


def parameters() -> dict[str, Any]:
    """Return the parameters that the core under test was made with."""
    values: dict[str, Any] = json.loads(os.environ[VARIABLE])
    return values


def join(fields: Iterable[tuple[int, int]]) -> int:
    """Return the payload of fields given as (value, bits); negative values are two's complement."""
    payload = shift = 0
    for value, bits in fields:
        payload |= (value & ((1 << bits) - 1)) << shift
        shift += bits
    return payload


def split(payload: int, widths: Sequence[int]) -> list[int]:
    """Return the fields of a payload, unsigned."""
    values = []
    for bits in widths:
        values.append(payload & ((1 << bits) - 1))
        payload >>= bits
    return values


def signed(value: int, bits: int) -> int:
    """Return the two's complement number of so many bits that `value` holds."""
    return value - (1 << bits) if value >> (bits - 1) else value


def word(elements: Iterable[int], bits: int, last: int) -> int:
    """Return the payload {elements, last} with elements of so many bits."""
    return join([*((element, bits) for element in elements), (last, 1)])


def words(vectors: Sequence[Sequence[int]], lanes: int, bits: int, lasts: Sequence[int]) -> list[int]:
    """Return vectors as payloads of `lanes` elements each; `lasts` holds the `last` of each vector's final word."""
    return [
        word(vector[start : start + lanes], bits, last and start + lanes == len(vector))
        for vector, last in zip(vectors, lasts, strict=True)
        for start in range(0, len(vector), lanes)
    ]
