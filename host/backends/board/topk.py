"""topk on a board."""

__all__ = ["REASON"]

REASON = "a miner's top-k takes its scores from its similarity engine, none from the link; the core alone runs in rtl"
