"""The backend ``null`` and its one device, which accept every operator and compute nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ninefold.spec.data import Answer, Database, RaggedArray, State
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.signature import Call, Declared, Ragged, Record

__all__ = ["Null", "NullDevice"]


class NullDevice:
    """Device that returns zeros of the right shapes and dtypes."""

    name = "null"

    @property
    def capacity_bytes(self) -> int | None:
        """None: the device keeps nothing."""
        return None

    def load(self, resident: Database | State) -> None:
        """Keep nothing."""

    def unload(self, key: str) -> None:
        """Drop nothing."""

    def run(self, call: Call) -> Answer:
        """Return zeros; a step returns its state unchanged, as the next version."""
        values = {result.name: _zeros(result, call) for result in call.operator.results}
        state = call.state().next(call.state().arrays) if call.operator.stateful else None
        return Answer(values, "nothing was computed", {"seconds": 0.0}, state)

    def close(self) -> None:
        """Free nothing."""


def _zeros(result: Declared, call: Call) -> Any:
    """Return a result of zeros: of a ragged result, empty lists."""
    if isinstance(result, Record):
        return {field.name: _zeros(field, call) for field in result.fields}
    if isinstance(result, Ragged):
        lists = call.sizes[result.lists] if isinstance(result.lists, str) else result.lists
        axes = tuple(size for size in result.values.shape[1:] if isinstance(size, int))
        return RaggedArray(np.zeros((0, *axes), result.values.dtypes[0]), np.zeros(lists + 1, np.int64))
    return np.zeros(call.operator.shape_of(result, call), result.dtypes[0])


class Null:
    """The backend ``null``, which measures the overhead around a device. Used only by name."""

    name = "null"

    def probe(self) -> Sequence[Found | Missing]:
        """Return the one device, which is always available."""
        return [Found("null", "returns zeros, to measure overhead", {}, named_only=True, unit="null", computes=False)]

    def operators(self) -> Mapping[str, str | None]:
        """Return None for every operator."""
        return dict.fromkeys(OPERATORS)

    def open(self, instance: str = "") -> NullDevice:
        """Open the device."""
        if instance:
            raise InputError(f"null has one device, named null, not {instance!r}")
        return NullDevice()
