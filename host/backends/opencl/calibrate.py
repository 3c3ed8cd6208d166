"""Reason that OpenCL does not run ``calibrate``."""

__all__ = ["REASON"]

REASON = (
    "its reference ranking sums float64 products in index order, and many OpenCL devices have no double precision; "
    "the scale is chosen once per database, so the CPU does it"
)
