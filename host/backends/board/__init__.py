"""The backend ``board``: miners on real boards and virtual ones."""

from .device import BoardDevice
from .discovery import Boards

__all__ = ["BoardDevice", "Boards"]
