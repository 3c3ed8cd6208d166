"""Reason that Loihi does not run ``calibrate``."""

__all__ = ["REASON"]

REASON = "the scale is chosen once per database by a floating-point search, before the chip is loaded"
