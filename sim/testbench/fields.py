"""Environment of testbenches, and payloads as integers with the first field in the least significant bits."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["CORE_VARIABLE", "PERIOD_NS", "VARIABLE", "core", "join", "parameters", "signed", "split", "word", "words"]

#: Environment variable with the parameters of the core, as JSON.
VARIABLE = "NINEFOLD_CORE_PARAMETERS"
#: Environment variable with the name of the core, or its path.
CORE_VARIABLE = "NINEFOLD_CORE"
#: Period of the clock in every testbench.
PERIOD_NS = 10


def core() -> str:
    """Return the name of the core under test, or its path."""
    return os.environ[CORE_VARIABLE]


def parameters() -> dict[str, Any]:
    """Return the parameters of the core under test."""
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
    """Interpret the lowest bits of `value` as a two's complement number."""
    return value - (1 << bits) if value >> (bits - 1) else value


def word(elements: Iterable[int], bits: int, last: int) -> int:
    """Return the payload {elements, last} with elements of the given width."""
    return join([*((element, bits) for element in elements), (last, 1)])


def words(vectors: Sequence[Sequence[int]], lanes: int, bits: int, lasts: Sequence[int]) -> list[int]:
    """Return vectors as payloads of `lanes` elements each; `lasts` holds the `last` of each vector's final word."""
    return [
        word(vector[start : start + lanes], bits, last and start + lanes == len(vector))
        for vector, last in zip(vectors, lasts, strict=True)
        for start in range(0, len(vector), lanes)
    ]
