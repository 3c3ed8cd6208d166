"""embed on a board."""

__all__ = ["REASON"]

REASON = "no core computes the sentence model: the fabric begins where embeddings are quantised"
