"""Tiers of a clustered index: lists on a device, in memory, and compressed on disk."""

from .cold import ColdStore, ColdUse
from .placement import HitRates, Placement, Tier, TierSizes, replay, similar_lists
from .policies import LeastFrequent, LeastRecent, Momentum, Policy

__all__ = [
    "ColdStore",
    "ColdUse",
    "HitRates",
    "LeastFrequent",
    "LeastRecent",
    "Momentum",
    "Placement",
    "Policy",
    "Tier",
    "TierSizes",
    "replay",
    "similar_lists",
]
