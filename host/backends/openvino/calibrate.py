"""Why OpenVINO does not run ``calibrate``."""

__all__ = ["REASON"]

REASON = "calibrating needs sums in float64 in a fixed order, which no graph promises, and happens once for a database"
