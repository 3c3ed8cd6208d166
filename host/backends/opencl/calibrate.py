"""calibrate: not run here."""

__all__ = ["REASON"]

REASON = (
    "its reference ranking sums float64 products in index order, and many OpenCL devices have no double precision; "
    "a scale is chosen once a database, so the CPU does it"
)
