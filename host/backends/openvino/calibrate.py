"""Reason that OpenVINO does not run ``calibrate``."""

__all__ = ["REASON"]

REASON = "calibrating needs float64 sums in a fixed order, which no graph guarantees, and runs once per database"
