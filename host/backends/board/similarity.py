"""similarity on a board."""

__all__ = ["REASON"]

REASON = "a miner returns the k best scores of a query, never all of them; the core alone runs in rtl"
