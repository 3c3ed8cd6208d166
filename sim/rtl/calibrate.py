"""Reason why the RTL backend does not run ``calibrate``."""

__all__ = ["REASON"]

REASON = "no core calibrates: the scale is chosen once per database, in floating point, before loading"
