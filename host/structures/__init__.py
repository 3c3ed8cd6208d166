"""Host structures of the wave family: `PatchGrid` for points, and `causal_order` for events."""

from .causal import causal_order
from .patch_grid import PATCH, GridSnapshot, PatchGrid

__all__ = ["PATCH", "GridSnapshot", "PatchGrid", "causal_order"]
