"""The backend ``board``: miners on real and virtual boards."""

from .device import BoardDevice
from .discovery import Boards

__all__ = ["BoardDevice", "Boards"]
