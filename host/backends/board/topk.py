"""Reason that no board runs ``topk``."""

__all__ = ["REASON"]

REASON = (
    "a miner's top-k takes scores from its similarity engine, not from the link; the rtl backend runs the core alone"
)
