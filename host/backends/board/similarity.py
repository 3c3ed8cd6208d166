"""Reason that no board runs ``similarity``."""

__all__ = ["REASON"]

REASON = "a miner returns the k best scores of a query, never all; the rtl backend runs the core alone"
