"""How far a backend may differ from the golden model."""

from dataclasses import dataclass

__all__ = ["EXACT", "Bound", "Exact", "Tolerance"]


@dataclass(frozen=True)
class Exact:
    """Every backend returns the same bits."""

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True)
class Bound:
    """Backends may differ from the golden model by no more than a stated amount.

    Attributes
    ----------
    measure : str
        What is measured, e.g. ``"cosine"``.
    at_least : float or None
        The smallest value allowed, or None.
    at_most : float or None
        The largest value allowed, or None.
    reason : str
        Why the operator cannot be exact.
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
