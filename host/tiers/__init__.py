"""Tiers of a clustered index: lists on a device, in memory, and compressed on disk."""

from .cold import ColdStore, ColdUse

__all__ = ["ColdStore", "ColdUse"]
