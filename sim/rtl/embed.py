"""Reason why the RTL backend does not run ``embed``."""

__all__ = ["REASON"]

REASON = "no core computes the sentence model: the fabric starts at quantising embeddings"
