"""The backend ``null``: returns zeros at once, to measure the overhead of everything else."""

from .device import Null

__all__ = ["Null"]
