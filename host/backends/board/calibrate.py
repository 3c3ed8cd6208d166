"""calibrate on a board."""

__all__ = ["REASON"]

REASON = "no core calibrates: the scale is chosen once for a database, in floating point, before anything is loaded"
