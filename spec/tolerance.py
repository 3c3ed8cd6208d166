"""Tolerances: the difference allowed between a backend's result and the golden model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import Any, Final

from .errors import InputError

__all__ = ["EXACT", "MEASURES", "Bound", "Exact", "Scale", "Tolerance"]

#: Measures of a difference. ``ninefold.sim.conformance.measures`` computes each one; a test compares the two tables.
MEASURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "absolute": "largest absolute value of the difference",
        "relative": "largest absolute value of the difference, divided by the magnitude of the golden model's element",
        "ulp": "largest difference, in units in the last place of the golden model's element",
        "cosine": "smallest cosine of the angle between the two, along the last axis",
    }
)


@dataclass(frozen=True)
class Exact:
    """Tolerance of zero: every backend returns the same bits."""

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True)
class Scale:
    """Factor of a bound that depends on the call.

    Attributes
    ----------
    text : str
        The factor in words, e.g. ``"max(1, |a| |b|)"``.
    value : callable
        ``value(call, wanted)`` returns the factor from the call and the golden model's result: a number, or an array
        of the result's shape.
    """

    text: str
    value: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Bound:
    """Tolerance with a stated bound on a measure of the difference.

    Attributes
    ----------
    measure : str
        One of `MEASURES`.
    limit : float
        Smallest allowed value for ``"cosine"``, else the largest.
    reason : str
        Reason why the result cannot be exact.
    scale : Scale or None
        Factor of the limit, for ``"absolute"`` only.

    Raises
    ------
    InputError
        The measure is unknown, the limit is not a number above 0, or there is no reason.
    """

    measure: str
    limit: float
    reason: str
    scale: Scale | None = None

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InputError(f"measure must be one of {', '.join(MEASURES)}, not {self.measure!r}")
        if not (isfinite(self.limit) and self.limit > 0):
            raise InputError(f"limit must be a number above 0, not {self.limit!r}")
        if not self.reason:
            raise InputError("reason must say why the result cannot be exact")
        if self.scale is not None and self.measure != "absolute":
            raise InputError(f"scale is a factor of an absolute bound, not of {self.measure!r}")

    def __str__(self) -> str:
        sign = ">=" if self.measure == "cosine" else "<="
        return f"{self.measure} {sign} {self.limit:g}" + (f" of {self.scale.text}" if self.scale else "")


Tolerance = Exact | Bound
EXACT: Final = Exact()
