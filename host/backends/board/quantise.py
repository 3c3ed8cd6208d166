"""Reason that no board runs ``quantise``."""

__all__ = ["REASON"]

REASON = "a miner quantises queries for its similarity engine; no command reads the nits back"
