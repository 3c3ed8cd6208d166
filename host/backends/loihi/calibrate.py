"""Why the Loihi backend does not run ``calibrate``."""

__all__ = ["REASON"]

REASON = "the scale is chosen once for a database by floating-point search, before anything is put on the chip"
