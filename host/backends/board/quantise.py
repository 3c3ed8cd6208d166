"""quantise on a board."""

__all__ = ["REASON"]

REASON = "a miner quantises queries on their way to its similarity engine; no command reads the nits back"
