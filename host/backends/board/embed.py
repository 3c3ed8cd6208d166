"""Reason that no board runs ``embed``."""

__all__ = ["REASON"]

REASON = "no core computes the sentence model: the fabric starts at quantising embeddings"
