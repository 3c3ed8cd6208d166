"""The backend ``null`` and its one device, which accept every operator and compute nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ninefold.host.hooks import shape_of
from ninefold.spec.data import Answer, Database, State
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.protocols import Found, Missing
from ninefold.spec.signature import Call

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
        values = {result.name: np.zeros(shape_of(result, call), result.dtypes[0]) for result in call.operator.results}
        state = call.state().next(call.state().arrays) if call.operator.stateful else None
        return Answer(values, "nothing was computed", {"seconds": 0.0}, state)

    def close(self) -> None:
        """Free nothing."""


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
