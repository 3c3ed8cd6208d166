"""Host structures of the wave family: points in a `PatchGrid`, signatures in a `PhaseIndex`, and `causal_order`."""

from .causal import causal_order
from .patch_grid import PATCH, GridSnapshot, PatchGrid
from .phase_index import BUCKET, RESONANCE, PhaseIndex, PhaseMatches, PhaseSnapshot

__all__ = [
    "BUCKET",
    "PATCH",
    "RESONANCE",
    "GridSnapshot",
    "PatchGrid",
    "PhaseIndex",
    "PhaseMatches",
    "PhaseSnapshot",
    "causal_order",
]
