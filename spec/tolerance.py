"""Tolerances: the difference allowed between a backend and the golden model."""

from dataclasses import dataclass

__all__ = ["EXACT", "Bound", "Exact", "Tolerance"]


@dataclass(frozen=True)
class Exact:
    """Tolerance of zero: every backend returns the same bits."""

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True)
class Bound:
    """Tolerance with a stated bound on the difference from the golden model.

    Attributes
    ----------
    measure : str
        Measure of the difference, e.g. ``"cosine"``.
    at_least : float or None
        Smallest allowed value, or None.
    at_most : float or None
        Largest allowed value, or None.
    reason : str
        Reason why the operator cannot be exact.
    """

    measure: str
    reason: str
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        low = f"{self.at_least} <= " if self.at_least is not None else ""
        high = f" <= {self.at_most}" if self.at_most is not None else ""
        return f"{low}{self.measure}{high}"


Tolerance = Exact | Bound
EXACT = Exact()
